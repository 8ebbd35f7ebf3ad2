"""A chip that boots again and again from given flash contents, and knows what it has been through before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..emulator import DiagnosticKind, Machine, Operation, OperationKind, Stop, StopCause
from ._contents import Contents
from ._interrupts import kept_back
from ._paths import Path, Paths
from ._power import Ending, Power
from ._recording import Recording

__all__ = ["Chip", "Counts", "Trail"]

#: cycles between two looks at the limits
_SLICE: Final = 16_000_000
_CONSOLE: Final = 2000
#: `Machine.next_event` while nothing is due
_NEVER: Final = 1 << 62
#: what firmware may not do to flash. How often a word was written is not known of contents put together.
_RULES: Final = {
    DiagnosticKind.FLASH_NOT_ENABLED,
    DiagnosticKind.FLASH_ALIGNMENT,
    DiagnosticKind.FLASH_CONFLICT,
}


class Trail:
    """The flash operations of a power-on from ``start``.

    They are those of ``parts``, and if the machine then met a known state those of another one, ``next``,
    from an index on.
    """

    __slots__ = ("_operations", "_parts", "next", "start")

    def __init__(
        self,
        start: Contents,
        parts: Sequence[Sequence[Operation]] = (),
        next: tuple[Trail, int] | None = None,  # noqa: A002
    ) -> None:
        self.start, self.next = start, next
        self._parts = parts
        self._operations: Sequence[Operation] | None = None

    @property
    def operations(self) -> Sequence[Operation]:
        """Those that are its own."""
        if self._operations is None:
            parts = self._parts
            self._operations = parts[0] if len(parts) == 1 else [item for part in parts for item in part]
        return self._operations

    def whole(self) -> list[Operation]:
        """All of them."""
        found = [*self.operations]
        after = self.next
        while after is not None:
            trail, index = after
            found += trail.operations[index:]
            after = trail.next
        return found


@dataclass(frozen=True, slots=True)
class _Foreseen:
    """What is kept of a power-on that followed a path: so many steps of it, then ``next``.

    Not the contents, of which there are as many as points.
    """

    power: Power
    path: Path
    steps: int
    next: tuple[Trail, int] | None = None

    def trail(self, start: Contents) -> Trail:
        return Trail(start, [step.operations for step in self.path.steps[: self.steps]], self.next)


@dataclass(slots=True)
class Counts:
    """What a chip has done.

    ``boots`` power-ons were executed, ``merged`` of them up to a machine state that was known.
    For ``foreseen`` more it was known without executing that they lead to such a state.
    """

    boots: int = 0
    merged: int = 0
    foreseen: int = 0
    instructions: int = 0
    operations: int = 0

    def add(self, other: Counts) -> None:
        """Sum up."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class _Known:
    """A machine state and what came of it: ``power``, after the operations of ``trail`` from ``index`` on.

    If clocks were running then, the same comes of an equal state only if nobody looked at a clock
    (``timeless``) and none of the other machine's clocks makes an event within ``cycles``.
    """

    power: Power
    trail: Trail
    index: int
    cycles: int
    timeless: bool
    clocks: bool

    def holds(self, clocks: Iterable[int]) -> bool:
        return not self.clocks or (self.timeless and all(c < 0 or c > self.cycles for c in clocks))


@dataclass(frozen=True, slots=True)
class _Mark:
    """A machine state on the way. ``findings`` and ``operations`` count those before it."""

    key: tuple[int, bytes]
    operations: int
    now: int
    clock_events: int
    clocks: bool
    findings: int


class _Run:
    """One power-on while it is executed."""

    def __init__(self, machine: Machine, contents: Contents) -> None:
        self.start = self.now = contents
        self.began, self.instructions = machine.now, machine.hot.instructions
        self.quiet_since = machine.now
        self.executed = self.instructions
        self.operations: list[Operation] = []
        self.marks: list[_Mark] = []
        self.findings: list[str] = []
        self.met: _Known | None = None
        self.path = Path(contents)
        self.followed = 0


class Chip:
    """Boots the contents of one recording. ``merging`` off makes each power-on run to its end."""

    def __init__(self, recording: Recording, *, merging: bool = True) -> None:
        self.recording, self.merging = recording, merging
        self.counts = Counts()
        self.console = bytearray()
        self.longest = 0, 0
        """Cycles and instructions of the longest power-on so far."""
        self.trail = Trail(recording.start)
        """That of the last power-on."""
        self.machine = Machine(recording.soc, seed=recording.chip_seed, tracks_reads=merging)
        self.machine.uarts[0].sink = self._print
        self.machine.stops_after_erase = True
        self._held: dict[int, bytes] = {}
        self._touched: set[int] = set(recording.origin.pieces)
        self._known: dict[tuple[int, bytes], _Known] = {}
        self._powers: dict[int, tuple[Power, Trail] | _Foreseen] = {}
        self._paths = Paths()

    @property
    def write_once(self) -> bool:
        """Whether the flash with the slots takes each unit once between erases."""
        slots = self.recording.slots.address
        return any(array.write_once and slots in array for array in self.machine.bus.arrays)

    def _print(self, data: bytes) -> None:
        self.console += data
        del self.console[:-_CONSOLE]

    def load(self, contents: Contents) -> None:
        """Put contents into the chip, which is off."""
        machine = self.machine
        machine.power_off()
        machine.strengthen()
        for start in self._held.keys() | contents.changed.keys() | self._touched:
            wanted = contents.piece(start)
            if start in self._touched or self._held.get(start) is not wanted:
                machine.load(start, wanted)
        self._held = {start: piece for start, (piece, _) in contents.changed.items()}
        self._touched = set()
        for address, size, number in contents.weak:
            machine.weaken(address, size, seed=number)

    def power_on(self, contents: Contents) -> Power:
        """What comes of flash contents when power returns. Executed only if it is not known already."""
        if not self.merging:
            return self.run(contents)
        known = self._powers.get(contents.key)
        if known is None and not contents.weak:
            known = self._foresee(contents)
            if known is not None:
                self._powers[contents.key] = known
        if isinstance(known, _Foreseen):
            self.trail = known.trail(contents)
            return known.power
        if known is None:
            power = self.run(contents)
            known = self._powers[contents.key] = power, self.trail
        power, self.trail = known
        return power

    def _foresee(self, contents: Contents) -> _Foreseen | None:
        for path in self._paths:
            steps = 0
            for step, key in path.along(contents):
                steps += 1
                known = self._known.get((key, step.fingerprint))
                if known is not None and known.holds(step.clocks):
                    self._paths.used(path)
                    self.counts.foreseen += 1
                    return _Foreseen(known.power, path, steps, (known.trail, known.index))
            if path.power is not None and steps == len(path.steps):
                self._paths.used(path)
                self.counts.foreseen += 1
                power = path.power
                end = contents.after_all(item for step in path.steps for item in step.operations).compact()
                return _Foreseen(Power(end, power.ending, power.pc), path, steps)
        return None

    def run(self, contents: Contents) -> Power:
        """Execute a power-on from these contents, up to its end or to a state that is known."""
        machine = self.machine
        self.load(contents)
        self.console.clear()
        machine.diagnostics.clear()
        machine.forget_time()  # so that nothing depends on what was run before
        machine.start_journal()
        slots = self.recording.slots
        machine.ask_at_entry(slots.address, slots.end)
        if machine.reads is not None:
            machine.reads.clear()
        run = _Run(machine, contents)
        machine.power_on()
        power: Power | None = None
        while power is None:
            with kept_back():
                stop = machine.run(self.recording.limits.settle or _SLICE)
            self._follow(run)
            power = self._look(run, stop)
        machine.power_off()
        spent = machine.now - run.began, machine.hot.instructions - run.instructions
        self.longest = max(self.longest[0], spent[0]), max(self.longest[1], spent[1])
        self.counts.boots += 1
        self.counts.instructions += spent[1]
        self.counts.operations += len(run.operations)
        met = run.met
        self.trail = Trail(contents, [tuple(run.operations)], (met.trail, met.index) if met else None)
        for mark in run.marks:
            self._known[mark.key] = self._seen_from(run, mark, power)
        if self.merging:
            self._remember(run, power)
        return power

    def _remember(self, run: _Run, power: Power) -> None:
        """Keep the path; up to its end, if it met nothing known."""
        if run.met is None and not run.start.weak and not run.findings:
            run.path.add(self.machine, tuple(run.operations[run.followed :]), run.now, b"end")
            run.path.power = power
        if run.path.steps:
            self._paths.add(run.path)

    def _seen_from(self, run: _Run, mark: _Mark, power: Power) -> _Known:
        met = run.met
        return _Known(
            power.with_findings(power.findings[mark.findings :]),
            self.trail,
            mark.operations,
            self.machine.now - mark.now + (met.cycles if met else 0),
            self.machine.clock_events == mark.clock_events and (met is None or met.timeless),
            mark.clocks,
        )

    def _in_slots(self, pc: int) -> bool:
        return self.recording.slots.address <= pc < self.recording.slots.end

    def _follow(self, run: _Run) -> None:
        """Take over what the machine did to its flash since the last look."""
        new = self.machine.recorded(len(run.operations))
        if not new:
            return
        run.quiet_since = self.machine.now
        run.operations += new
        blocks = {operation.address >> 10 for operation in new}
        for operation in new:
            if operation.kind is not OperationKind.WRITE:
                blocks.update(range(operation.address >> 10, operation.address + operation.size + 1023 >> 10))
        pieces = {self.recording.origin.piece_at(block << 10)[0] for block in blocks}
        self._touched |= pieces
        run.now = run.now.with_pieces({start: self._read(start) for start in pieces})
        for operation in new if run.now.weak else ():
            run.now = run.now.decided(operation)

    def _read(self, start: int) -> bytes:
        return self.machine.bus.read_block(start, self.recording.origin.piece_at(start)[1])

    def _look(self, run: _Run, stop: Stop) -> Power | None:
        """Why the machine has stopped, and whether that is an end."""
        if stop.cause is StopCause.ASKED:
            entered = self._in_slots(stop.pc)
            if not entered or not run.marks or not self.recording.runs_application:
                power = self._meet(run)
                if power is not None:
                    return power
            if not entered:
                return None
            self.machine.ask_at_entry(0, 0)
        return self._ended(run, stop)

    def _meet(self, run: _Run) -> Power | None:
        """Has the machine been in this very state before?"""
        machine = self.machine
        self._collect(run)
        if not self.merging or run.now.weak:
            return None
        fingerprint, clocks = machine.fingerprint(), machine.clocks
        if not run.findings and not run.start.weak:
            run.path.add(machine, tuple(run.operations[run.followed :]), run.now, fingerprint)
            run.followed = len(run.operations)
        key = run.now.key, fingerprint
        known = self._known.get(key)
        if known is not None and known.holds(clocks):
            self.counts.merged += 1
            run.met = known
            return known.power.with_findings((*run.findings, *known.power.findings))
        running = any(clock >= 0 for clock in clocks)
        run.marks.append(
            _Mark(key, len(run.operations), machine.now, machine.clock_events, running, len(run.findings))
        )
        return None

    def _collect(self, run: _Run) -> None:
        run.findings += [str(item) for item in self.machine.diagnostics if item.kind in _RULES]
        self.machine.diagnostics.clear()

    def _ended(self, run: _Run, stop: Stop) -> Power | None:
        machine, limits = self.machine, self.recording.limits
        ending: Ending | None = None
        asleep = machine.hot.instructions == run.executed and machine.next_event >= _NEVER
        asleep |= stop.cause in {StopCause.IDLE, StopCause.SYSTEM_OFF}
        run.executed = machine.hot.instructions
        if stop.cause is StopCause.LOCKED_UP:
            ending = Ending.LOCKED_UP
        elif self._in_slots(stop.pc):
            quiet = machine.now - run.quiet_since >= limits.settle or asleep
            if quiet or not self.recording.runs_application:
                ending = Ending.STARTED
        elif asleep:
            ending = Ending.STOPPED
        spent = machine.now - run.began, machine.hot.instructions - run.instructions
        if ending is None and (spent[0] > limits.cycles or spent[1] > limits.instructions):
            ending = Ending.ENDLESS
        if ending is None:
            return None
        self._collect(run)
        return Power(run.now.compact(), ending, stop.pc, tuple(run.findings))
