// Devices of the nRF52840 that Renode lacks, or has with less than an updating firmware needs.
// Registers: Nordic nRF52840 Product Specification v1.7.
namespace Antmicro.Renode.Peripherals.McubootHarness
{
    using System;
    using Antmicro.Renode.Core;
    using Antmicro.Renode.Peripherals.Bus;
    using Antmicro.Renode.Peripherals.CPU;
    using Antmicro.Renode.Peripherals.Memory;
    using Antmicro.Renode.Peripherals.Miscellaneous;
    using Antmicro.Renode.Peripherals.Timers;
    using Antmicro.Renode.Peripherals.UART;

    // CLOCK and POWER. Oscillators start at once. Knows why the last reset happened: the debugger and the
    // watchdog say so beforehand, all others are the firmware's own.
    public class NrfPower : Words
    {
        public NrfPower(IMachine machine, CortexM cpu, NrfWatchdog watchdog)
        {
            this.watchdog = watchdog;
            pending = new PendingReset(machine);
            faults = new Faults(cpu, () =>
            {
                Announce(Lockup);
                pending.Ask();
            });
            watchdog.Expired += () =>
            {
                Announce(WatchdogReset);
                pending.Ask();
            };
        }

        public void Announce(uint reason)
        {
            announced = reason;
        }

        public void PinReset()
        {
            announced = Pin;
        }

        // Renode has given up the core. Whether a reset follows, which is announced then.
        public bool GiveUp()
        {
            announced = Lockup;
            return true;
        }

        // The next reset is the first after power came.
        public void PowerOn()
        {
            words.Clear();
            announced = 0;
            Resets = 0;
        }

        public uint Resets { get; private set; }

        public override void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case 0x000: // HFCLKSTART
                words[0x408] = 1;
                words[0x40C] = 0x10001;
                words[0x100] = 1;
                break;
            case 0x004: // HFCLKSTOP
                words[0x408] = words[0x40C] = 0;
                break;
            case 0x008: // LFCLKSTART
                words[0x414] = 1;
                words[0x418] = 0x10000 | ReadDoubleWord(0x518) & 3;
                words[0x41C] = ReadDoubleWord(0x518) & 3;
                words[0x104] = 1;
                break;
            case 0x00C: // LFCLKSTOP
                words[0x414] = words[0x418] = 0;
                break;
            case ResetReason:
                words[ResetReason] = ReadDoubleWord(ResetReason) & ~value;
                break;
            default:
                words[offset] = value;
                break;
            }
        }

        public override void Reset()
        {
            Resets++;
            pending.Done();
            faults.Reset();
            var kept = ReadDoubleWord(ResetReason) | announced;
            var soft = (announced & (SoftReset | Lockup)) != 0;
            if(!soft)
            {
                watchdog.Stop();
            }
            var first = ReadDoubleWord(0x51C);
            var second = ReadDoubleWord(0x520);
            words.Clear();
            words[ResetReason] = kept;
            if(soft)
            {
                words[0x51C] = first; // GPREGRET
                words[0x520] = second;
            }
            announced = SoftReset;
        }

        public const uint Pin = 1, WatchdogReset = 2, SoftReset = 4, Lockup = 8;

        private const long ResetReason = 0x400;
        private readonly NrfWatchdog watchdog;
        private readonly Faults faults;
        private readonly PendingReset pending;
        private uint announced = SoftReset;
    }

    // NVMC. Erasing takes no time. The CPU's stores to flash do not come by here, so it cannot refuse them.
    public class NrfNvmc : Words
    {
        public NrfNvmc(IMachine machine, MappedMemory flash, MappedMemory uicr)
        {
            this.machine = machine;
            this.flash = flash;
            this.uicr = uicr;
            EraseAll();
        }

        // What CTRL-AP does as well.
        public void EraseAll()
        {
            flash.SetRange(0, flash.Size, 0xFF);
            uicr.SetRange(0, uicr.Size, 0xFF);
        }

        public override uint ReadDoubleWord(long offset)
        {
            return offset == 0x400 || offset == 0x408 ? 1 : base.ReadDoubleWord(offset);
        }

        public override void WriteDoubleWord(long offset, uint value)
        {
            var may = (ReadDoubleWord(0x504) & 3) == 2;
            switch(offset)
            {
            case 0x508: // ERASEPAGE, also under its name ERASEPCR1
            case 0x510: // ERASEPCR0
                if(may && value < flash.Size)
                {
                    Erase(value & ~0xFFFu, 0x1000);
                }
                break;
            case 0x50C: // ERASEALL
                if(may && (value & 1) != 0)
                {
                    Erase(0, (uint)flash.Size);
                    uicr.SetRange(0, uicr.Size, 0xFF);
                }
                break;
            case 0x514: // ERASEUICR
                if(may && (value & 1) != 0)
                {
                    uicr.SetRange(0, uicr.Size, 0xFF);
                }
                break;
            default:
                words[offset] = value;
                break;
            }
        }

        private void Erase(uint address, uint size)
        {
            var blank = new byte[size];
            for(var i = 0; i < blank.Length; i++)
            {
                blank[i] = 0xFF;
            }
            // Through the bus, so that code which was translated from there is forgotten.
            machine.SystemBus.WriteBytes(blank, address);
        }

        private readonly IMachine machine;
        private readonly MappedMemory flash;
        private readonly MappedMemory uicr;
    }

    // WDT. Once started it can be fed, but neither stopped nor changed; it runs on over a soft reset, so that
    // POWER says when it stops.
    public class NrfWatchdog : Words
    {
        public NrfWatchdog(IMachine machine)
        {
            timer = new LimitTimer(machine.ClockSource, 32768, this, "watchdog", limit: 0x100000000, eventEnabled: true);
            timer.LimitReached += TimedOut;
            Stop();
        }

        public override uint ReadDoubleWord(long offset)
        {
            switch(offset)
            {
            case 0x400:
                return timer.Enabled ? 1u : 0u;
            case 0x404:
                return requested;
            default:
                return base.ReadDoubleWord(offset);
            }
        }

        public override void WriteDoubleWord(long offset, uint value)
        {
            if(offset == 0)
            {
                if(!timer.Enabled)
                {
                    Reload();
                    timer.Enabled = true;
                }
            }
            else if(offset >= 0x600 && offset < 0x620)
            {
                if(value == 0x6E524635 && timer.Enabled)
                {
                    requested &= ~(1u << (int)((offset - 0x600) / 4));
                    if(requested == 0)
                    {
                        Reload();
                    }
                }
            }
            else if(!timer.Enabled)
            {
                words[offset] = value;
            }
        }

        public override void Reset()
        {
        }

        public void Stop()
        {
            words.Clear();
            words[0x504] = 0xFFFFFFFF;
            words[0x508] = words[0x50C] = 1;
            timer.Reset();
        }

        public event Action Expired;

        private void Reload()
        {
            requested = words[0x508];
            timer.Limit = (ulong)words[0x504] + 1;
            timer.ResetValue();
        }

        private void TimedOut()
        {
            timer.Enabled = false;
            var expired = Expired;
            if(expired != null)
            {
                expired();
            }
        }

        private readonly LimitTimer timer;
        private uint requested;
    }

    // UARTE with EasyDMA.
    public class NrfUarte : Words, IUART, INRFEventProvider
    {
        public NrfUarte(IMachine machine)
        {
            this.machine = machine;
            IRQ = new GPIO();
            line = new PacedLine(machine, this, Arrive, () => { });
        }

        public void WriteChar(byte value)
        {
            if(receiving)
            {
                line.Put(value);
            }
        }

        public override void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case 0x000: // STARTRX
                if(value != 0)
                {
                    StartReception();
                }
                break;
            case 0x004: // STOPRX
                if(value != 0 && receiving)
                {
                    Stop();
                    Happen(EndReceive);
                    Happen(0x144);
                }
                break;
            case 0x008: // STARTTX
                if(value != 0 && On)
                {
                    Transmit();
                }
                break;
            case 0x00C: // STOPTX
                if(value != 0)
                {
                    Happen(0x158);
                }
                break;
            case 0x304: // INTENSET
                words[0x300] = ReadDoubleWord(0x300) | value;
                break;
            case 0x308: // INTENCLR
                words[0x300] = ReadDoubleWord(0x300) & ~value;
                break;
            case 0x500: // ENABLE
                words[0x500] = value;
                if(!On)
                {
                    Stop();
                }
                break;
            case 0x524: // BAUDRATE: the rate as a fraction of 16 MHz
                words[0x524] = value;
                line.Baud = BaudRate;
                break;
            default:
                words[offset] = value;
                break;
            }
            Update();
        }

        public override uint ReadDoubleWord(long offset)
        {
            return base.ReadDoubleWord(offset == 0x304 || offset == 0x308 ? 0x300 : offset);
        }

        public override void Reset()
        {
            Stop();
            base.Reset();
            IRQ.Unset();
        }

        public GPIO IRQ { get; private set; }

        public uint BaudRate
        {
            get { return (uint)(((ulong)base.ReadDoubleWord(0x524) * 16000000 + 0x80000000) >> 32); }
        }

        public Bits StopBits { get { return Bits.One; } }

        public Parity ParityBit { get { return Parity.None; } }

        public event Action<byte> CharReceived;

        public event Action<uint> EventTriggered;

        private bool On { get { return (base.ReadDoubleWord(0x500) & 0xF) == 8; } }

        private void StartReception()
        {
            if(!On)
            {
                return;
            }
            receiving = true;
            pointer = ReadDoubleWord(0x534);
            left = ReadDoubleWord(0x538);
            Happen(0x14C);
        }

        private void Stop()
        {
            receiving = false;
            line.Clear();
        }

        private void Arrive(byte value)
        {
            if(!receiving || left == 0)
            {
                return;
            }
            machine.SystemBus.WriteByte(pointer++, value);
            left--;
            words[0x53C] = ReadDoubleWord(0x538) - left;
            Happen(0x108);
            if(left == 0)
            {
                Happen(EndReceive);
                if((ReadDoubleWord(0x200) & 1 << 5) != 0)
                {
                    StartReception();
                }
            }
            Update();
        }

        private void Transmit()
        {
            var size = ReadDoubleWord(0x548);
            Happen(0x150);
            var sent = CharReceived;
            if(size > 0 && sent != null)
            {
                foreach(var value in machine.SystemBus.ReadBytes(ReadDoubleWord(0x544), (int)size))
                {
                    sent(value);
                }
            }
            words[0x54C] = size;
            Happen(0x11C);
            Happen(0x120);
        }

        private void Happen(long registerOffset)
        {
            words[registerOffset] = 1;
            var happened = EventTriggered;
            if(happened != null)
            {
                happened((uint)registerOffset);
            }
        }

        // An event's interrupt bit is its place behind 0x100.
        private void Update()
        {
            var enabled = ReadDoubleWord(0x300);
            var wanted = false;
            for(var bit = 0; bit < 23 && !wanted; bit++)
            {
                wanted = (enabled & 1u << bit) != 0 && ReadDoubleWord(0x100 + 4 * bit) != 0;
            }
            IRQ.Set(wanted);
        }

        private readonly IMachine machine;
        private readonly PacedLine line;
        private bool receiving;
        private uint pointer;
        private uint left;

        private const long EndReceive = 0x110;
    }
}
