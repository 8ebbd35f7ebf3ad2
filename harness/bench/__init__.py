"""The devices of this machine: who has them, whether they are well, and which they are.

`open_on_bench` opens the device of a board with its lock held. Locks and quarantine belong to the
probe's id, so that they hold for whoever reaches the same board in another way.
"""

from ._discovery import Proof, Suggestion, present, prove, suggest
from ._doctor import Finding, Level, System, examine
from ._file import Bench, BenchDevice, bench_path, map_probe, read_bench
from ._labgrid import LabgridPlace
from ._locks import DeviceLock, Holder, holder, owner, release, reserve
from ._quarantine import Evidence, check_quarantine, end_quarantine, evidence, quarantine
from ._recover import recover
from ._session import Attendance, Request, open_on_bench
from ._state import state_folder

__all__ = [
    "Attendance",
    "Bench",
    "BenchDevice",
    "DeviceLock",
    "Evidence",
    "Finding",
    "Holder",
    "LabgridPlace",
    "Level",
    "Proof",
    "Request",
    "Suggestion",
    "System",
    "bench_path",
    "check_quarantine",
    "end_quarantine",
    "evidence",
    "examine",
    "holder",
    "map_probe",
    "open_on_bench",
    "owner",
    "present",
    "prove",
    "quarantine",
    "read_bench",
    "recover",
    "release",
    "reserve",
    "state_folder",
    "suggest",
]
