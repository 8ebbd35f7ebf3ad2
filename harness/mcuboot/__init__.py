"""MCUboot's data in flash: bytes in, facts out.

Reads images, slot trailers and whole flashes, says what the next boot will do and why, and
makes images with imgtool. Works on bytes only: no files, no devices. All facts are those
of MCUboot 2.4.0 and imgtool 2.5.0; each module names the functions they come from.

* bytes of a flash: `FlashView`; what to know of the boot loader: `BootSettings`
* everything at once: `FlashReport.build(view, settings)`, compared by `diff_reports`
* parts: `Image`, `ImageHeader`, `Tlv`, `TrailerLayout`, `Trailer`, `SwapStatus`, `read_flash`
* decisions: `swap_type`, `unfinished_swap`, `plan_boot`, `max_image_size`, `boot_wear`
* making things: `sign`, `build_trailer`, `set_pending`, `set_confirmed`
"""

from ._application import (
    ApiOutcome,
    ExpectedTrailer,
    TrailerWrite,
    UpdateStep,
    expected_trailers,
    set_confirmed,
    set_pending,
)
from ._dependencies import unmet_dependency
from ._diff import Change, ReportDiff, diff_reports
from ._findings import Finding, Severity
from ._flash_view import FlashView
from ._header import HEADER_SIZE, IMAGE_MAGIC, IMAGE_MAGIC_OLD, ImageFlags, ImageHeader
from ._image import Image
from ._keys import KeyType, PublicKey, SigningKey
from ._layout import TrailerLayout, magic_alignment, magic_bytes
from ._limits import max_image_size, slot_image_limit, slots_problem
from ._modes import SwapMode
from ._plan import BootAction, BootPlan, Erasure, ImagePlan, plan_boot
from ._reassemble import SwapParts, reassemble
from ._report import FlashReport
from ._settings import BootSettings, DowngradePrevention, FlashArea, ImageAreas
from ._signature import SignatureResult, SignatureVerdict, verify_signature
from ._signing import SigningOptions, sign
from ._slots import FlashState, ImageState, SlotCheck, SlotState, read_flash
from ._status import SwapStatus, SwapStep
from ._swap_type import (
    StatusSource,
    UnfinishedKind,
    UnfinishedSwap,
    status_source,
    swap_type,
    unfinished_swap,
)
from ._tlv import Tlv, TlvArea, TlvAreaKind, TlvType, is_vendor_type, tlv_name
from ._tlv_values import BootRecord, Dependency, explain_tlv
from ._trailer import (
    FLAG_SET,
    FlagState,
    MagicState,
    SwapInfo,
    SwapType,
    Trailer,
    TrailerField,
    TrailerState,
    build_trailer,
)
from ._version import Version
from ._wear import BootWear, boot_wear

__all__ = [
    "FLAG_SET",
    "HEADER_SIZE",
    "IMAGE_MAGIC",
    "IMAGE_MAGIC_OLD",
    "ApiOutcome",
    "BootAction",
    "BootPlan",
    "BootRecord",
    "BootSettings",
    "BootWear",
    "Change",
    "Dependency",
    "DowngradePrevention",
    "Erasure",
    "ExpectedTrailer",
    "Finding",
    "FlagState",
    "FlashArea",
    "FlashReport",
    "FlashState",
    "FlashView",
    "Image",
    "ImageAreas",
    "ImageFlags",
    "ImageHeader",
    "ImagePlan",
    "ImageState",
    "KeyType",
    "MagicState",
    "PublicKey",
    "ReportDiff",
    "Severity",
    "SignatureResult",
    "SignatureVerdict",
    "SigningKey",
    "SigningOptions",
    "SlotCheck",
    "SlotState",
    "StatusSource",
    "SwapInfo",
    "SwapMode",
    "SwapParts",
    "SwapStatus",
    "SwapStep",
    "SwapType",
    "Tlv",
    "TlvArea",
    "TlvAreaKind",
    "TlvType",
    "Trailer",
    "TrailerField",
    "TrailerLayout",
    "TrailerState",
    "TrailerWrite",
    "UnfinishedKind",
    "UnfinishedSwap",
    "UpdateStep",
    "Version",
    "boot_wear",
    "build_trailer",
    "diff_reports",
    "expected_trailers",
    "explain_tlv",
    "is_vendor_type",
    "magic_alignment",
    "magic_bytes",
    "max_image_size",
    "plan_boot",
    "read_flash",
    "reassemble",
    "set_confirmed",
    "set_pending",
    "sign",
    "slot_image_limit",
    "slots_problem",
    "status_source",
    "swap_type",
    "tlv_name",
    "unfinished_swap",
    "unmet_dependency",
    "verify_signature",
]
