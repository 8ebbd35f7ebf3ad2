"""Object definitions: the built-in ones, and those from files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness._errors import CodecError
from harness.protocols import OBJECTS, ResourceType, objects_with, read_object_file
from harness.protocols.objects import FIRMWARE_UPDATE_VERSIONS

ITEM = """
<Item ID="{id}"><Name>Thing {id}</Name><Operations>{operations}</Operations>
<MultipleInstances>{several}</MultipleInstances><Mandatory>Mandatory</Mandatory><Type>{kind}</Type>
<RangeEnumeration/><Units/><Description><![CDATA[a < b & c]]></Description></Item>
"""
OBJECT = """<?xml version="1.0" encoding="utf-8"?>
<!-- a comment -->
<LWM2M xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<Object ObjectType="MODefinition"><Name>Thermostat</Name><Description1/><ObjectID>{id}</ObjectID>
<ObjectURN>urn:oma:lwm2m:x:{id}</ObjectURN><LWM2MVersion>1.1</LWM2MVersion>{version}
<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
<Resources>{items}</Resources><Description2/></Object></LWM2M>
"""


def item(number=0, kind="Integer", operations="RW", several="Single"):
    return ITEM.format(id=number, kind=kind, operations=operations, several=several)


def definition(number=26241, items="", version="<ObjectVersion>1.3</ObjectVersion>"):
    return OBJECT.format(id=number, items=items, version=version)


@pytest.fixture
def write(tmp_path):
    def make(text, name="x.xml"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return make


def test_a_definition_is_read(write):
    kinds = [
        "String",
        "Integer",
        "Unsigned Integer",
        "Float",
        "Boolean",
        "Opaque",
        "Time",
        "Objlnk",
        "",
        "Corelnk",
    ]
    items = "".join(item(number, kind, "E" if not kind else "RW") for number, kind in enumerate(kinds))
    (found,) = read_object_file(write(definition(items=items + item(77, "String", "R", "Multiple"))))
    assert (found.id, found.name, found.version, found.multiple) == (26241, "Thermostat", "1.3", True)
    assert [found.resources[n].type for n in range(10)] == [
        *(ResourceType(kind.lower()) for kind in kinds[:8]),
        None,
        ResourceType.STRING,
    ]
    assert found.resources[8].operations.execute
    assert not found.resources[8].operations.read
    assert (found.resources[77].multiple, found.resources[77].mandatory) == (True, True)
    assert found.resource("Thing 77") is found.resources[77]


def test_files_and_folders_go_before_what_is_built_in(write, tmp_path):
    write(definition(number=3), "3.xml")
    write(definition(version=""), "thermostat.xml")
    write("<DDFList><Item/></DDFList>", "DDF.xml")
    objects = objects_with(tmp_path)
    assert (objects[3].name, objects[26241].version) == ("Thermostat", "1.0")
    assert objects[33629] is OBJECTS[33629]
    assert OBJECTS[3].name == "Device"
    assert objects_with() == OBJECTS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<LWM2M/>", "defines no object"),
        ("<LWM2M>", "can be read"),
        (b"\xff\xfe\x00", "can be read"),
        ('<?xml version="1.0" encoding="nonsense"?><LWM2M/>', "can be read"),
        (definition(number="x"), "ObjectID is no number"),
        (definition(number=70000), "ObjectID is no number"),
        (definition(items=item("-1")), "object 26241: ID of a resource is no number"),
        (definition(items=item(0, "Text")), "resource 0 has an unknown type"),
        (definition(items=item(0, operations="X")), "resource 0 has unknown operations"),
        (definition(items=item(4) + item(4)), "resource 4 is defined twice"),
    ],
)
def test_what_is_no_definition_is_refused_by_file(write, text, said):
    file = write(text)
    with pytest.raises(CodecError) as info:
        objects_with(file)
    assert said in str(info.value)
    assert str(file) in str(info.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CodecError, match=r"none\.xml"):
        read_object_file(tmp_path / "none.xml")


def test_entities_cannot_fill_the_memory(write):
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 12))
    with pytest.raises(CodecError):
        read_object_file(write(f'<!DOCTYPE x [<!ENTITY e0 "lol">{entities}]><LWM2M>&e11;</LWM2M>'))


@given(st.text(alphabet='<>/="&;!-[]\n aLWM2Object', max_size=80) | st.binary(max_size=60))
def test_noise_is_refused(tmp_path_factory, noise):
    file = tmp_path_factory.mktemp("noise") / "x.xml"
    file.write_bytes(noise if isinstance(noise, bytes) else noise.encode())
    with pytest.raises(CodecError):
        read_object_file(file)


def test_object_5_grew_from_version_to_version():
    rows = {version: sorted(found.resources) for version, found in FIRMWARE_UPDATE_VERSIONS.items()}
    first = [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert rows == {"1.0": first, "1.1": [*first, 10, 11, 12, 13], "1.2": [*first, 10, 11, 12, 13, 14]}
    assert FIRMWARE_UPDATE_VERSIONS["1.2"] == OBJECTS[5]


def test_definitions_of_a_user_guide_decoding(write, bench):
    objects = objects_with(write(definition(items=item(7, "Float"))))
    stand_in, device = bench.start(server={"objects": objects})
    stand_in.set_value("/26241/0/7", 21.5)
    assert device.read("/26241/0/7") == 21.5
    assert bench.server.objects[26241].name == "Thermostat"
