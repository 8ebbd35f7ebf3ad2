// Devices of the STM32L475, which Renode has no platform for. Registers: RM0351.
namespace Antmicro.Renode.Peripherals.McubootHarness
{
    using System;
    using Antmicro.Renode.Core;
    using Antmicro.Renode.Peripherals.Bus;
    using Antmicro.Renode.Peripherals.CPU;
    using Antmicro.Renode.Peripherals.Memory;
    using Antmicro.Renode.Peripherals.Timers;
    using Antmicro.Renode.Peripherals.UART;

    // GPIO, EXTI, SYSCFG: registers without effect.
    public class PlainWords : Words
    {
        public override void WriteDoubleWord(long offset, uint value)
        {
            words[offset] = value;
        }
    }

    // PWR, as far as it guards the backup domain.
    public class StmPower : PlainWords
    {
        public bool BackupWritable { get { return (ReadDoubleWord(0x00) & 1 << 8) != 0; } }
    }

    // The RTC's 32 backup registers, without its clock. Lost without power, or by BDCR.BDRST.
    public class StmBackup : Words
    {
        public StmBackup(StmPower power)
        {
            this.power = power;
        }

        public override void WriteDoubleWord(long offset, uint value)
        {
            if(power.BackupWritable && offset >= 0x50 && offset < 0xD0)
            {
                words[offset] = value;
            }
        }

        public override void Reset()
        {
        }

        public void Forget()
        {
            words.Clear();
        }

        private readonly StmPower power;
    }

    // DBGMCU, for debuggers.
    public class StmDebug : PlainWords
    {
        public override uint ReadDoubleWord(long offset)
        {
            return offset == 0 ? 0x10076415 : base.ReadDoubleWord(offset);
        }
    }

    // RCC. Clocks are ready at once, and all devices run at their usual speed. Knows why the last reset happened: the
    // debugger and the watchdog say so beforehand, all others are the firmware's own.
    public class StmClocks : Words
    {
        public StmClocks(IMachine machine, CortexM cpu, StmWatchdog watchdog, StmUsart usart, StmDma dma,
            StmPower power, StmBackup backup)
        {
            this.cpu = cpu;
            this.power = power;
            this.backup = backup;
            this.watchdog = watchdog;
            pending = new PendingReset(machine);
            // A lockup lasts until the watchdog or somebody else ends it.
            faults = new Faults(cpu, () => cpu.IsHalted = true);
            this.usart = usart;
            this.dma = dma;
            watchdog.Expired += () =>
            {
                announced = Pin | Watchdog;
                pending.Ask();
            };
            Preset(0);
        }

        public void PinReset()
        {
            announced = Pin;
        }

        // Renode has given up the core. Whether a reset follows, which is announced then: time stands still, so that
        // a watchdog that runs has to bite at once.
        public bool GiveUp()
        {
            announced = Pin | Watchdog;
            return watchdog.Running;
        }

        // The next reset is the first after power came.
        public void PowerOn()
        {
            words.Clear();
            backup.Forget();
            announced = Pin | Brownout;
            Resets = 0;
        }

        public uint Resets { get; private set; }

        public override void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case 0x00: // CR: each oscillator's ready bit stands behind its switch
                words[offset] = value & ~ReadyBits | value << 1 & (ReadyBits & ~(1u << 10)) | (value & 1 << 8) << 2;
                break;
            case 0x08: // CFGR: SWS follows SW
                words[offset] = value & ~0xCu | (value & 3) << 2;
                break;
            case 0x28: // AHB1RSTR
                words[offset] = value;
                if((value & 1) != 0)
                {
                    dma.Reset();
                }
                break;
            case 0x40: // APB2RSTR
                words[offset] = value;
                if((value & 1 << 14) != 0)
                {
                    usart.Reset();
                }
                break;
            case BackupControl:
                if(!power.BackupWritable)
                {
                    break;
                }
                if((value & BackupReset) != 0)
                {
                    backup.Forget();
                    value = BackupReset;
                }
                words[offset] = value & ~2u | (value & 1) << 1;
                break;
            case Status:
                var flags = (value & Remove) != 0 ? 0 : ReadDoubleWord(Status) & Flags;
                words[Status] = flags | value & ~Flags & ~2u | (value & 1) << 1;
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
            cpu.IsHalted = false;
            var flags = ReadDoubleWord(Status) & Flags | announced;
            var kept = ReadDoubleWord(BackupControl);
            Preset(flags);
            words[BackupControl] = kept;
            announced = Pin | Software;
        }

        private void Preset(uint flags)
        {
            words.Clear();
            words[0x00] = 0x63;
            words[0x0C] = 0x1000;
            words[0x10] = 0x1000;
            words[Status] = 0x600 | flags;
        }

        private const long BackupControl = 0x90; // BDCR
        private const long Status = 0x94; // CSR
        private const uint Remove = 1u << 23, BackupReset = 1u << 16;
        private const uint Flags = 0xFF000000;
        private const uint Pin = 1u << 26, Brownout = 1u << 27, Software = 1u << 28, Watchdog = 1u << 29;
        private const uint ReadyBits = 1u << 1 | 1u << 10 | 1u << 17 | 1u << 25 | 1u << 27 | 1u << 29;
        private readonly CortexM cpu;
        private readonly StmWatchdog watchdog;
        private readonly Faults faults;
        private readonly PendingReset pending;
        private readonly StmUsart usart;
        private readonly StmDma dma;
        private readonly StmPower power;
        private readonly StmBackup backup;
        private uint announced = Pin | Brownout;
    }

    // IWDG. Settings count at once; a window is not looked at.
    public class StmWatchdog : Words
    {
        public StmWatchdog(IMachine machine)
        {
            timer = new LimitTimer(machine.ClockSource, Clock, this, "watchdog", limit: 0x1000, eventEnabled: true);
            timer.LimitReached += () =>
            {
                timer.Enabled = false;
                var expired = Expired;
                if(expired != null)
                {
                    expired();
                }
            };
            Preset();
        }

        public event Action Expired;

        public bool Running { get { return timer.Enabled; } }

        public override void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case 0x00:
                unlocked = value == 0x5555;
                if(value == 0xCCCC || value == 0xAAAA && timer.Enabled)
                {
                    Reload();
                    timer.Enabled = true;
                }
                break;
            case 0x04:
            case 0x08:
            case 0x10:
                if(unlocked)
                {
                    words[offset] = value & (offset == 0x04 ? 7u : 0xFFFu);
                }
                break;
            }
        }

        public override void Reset()
        {
            timer.Reset();
            Preset();
        }

        private void Preset()
        {
            words.Clear();
            words[0x08] = words[0x10] = 0xFFF;
            unlocked = false;
        }

        private void Reload()
        {
            timer.Frequency = Clock >> (2 + (int)Math.Min(ReadDoubleWord(0x04), 6));
            timer.Limit = (ulong)ReadDoubleWord(0x08) + 1;
            timer.ResetValue();
        }

        private readonly LimitTimer timer;
        private const uint Clock = 32000;
        private bool unlocked;
    }

    // The flash controller: keys, page and bank erase. Erasing takes no time. The CPU's stores to flash do not come by
    // here, so it cannot refuse them.
    public class StmFlash : Words
    {
        public StmFlash(IMachine machine, MappedMemory flash)
        {
            this.machine = machine;
            flash.SetRange(0, flash.Size, 0xFF);
            Preset();
        }

        public override void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case 0x08: // KEYR
                if(value == (keys == 0 ? 0x45670123 : 0xCDEF89AB))
                {
                    keys++;
                }
                else
                {
                    keys = 3; // until the next reset
                }
                if(keys == 2)
                {
                    words[Control] &= ~Lock;
                    keys = 0;
                }
                break;
            case 0x10: // SR
                words[offset] = ReadDoubleWord(offset) & ~value;
                break;
            case Control:
                if((ReadDoubleWord(Control) & Lock) != 0)
                {
                    break;
                }
                if((value & Start) != 0)
                {
                    Erase(value);
                }
                words[Control] = value & ~Start;
                break;
            case 0x20: // OPTR
                break;
            default:
                words[offset] = value;
                break;
            }
        }

        public override void Reset()
        {
            Preset();
        }

        private void Erase(uint control)
        {
            if((control & 1 << 1) != 0)
            {
                Fill((control & 1 << 11) != 0 ? Bank : 0, (control >> 3 & 0xFF) * Page, Page);
            }
            if((control & 1 << 2) != 0)
            {
                Fill(0, 0, Bank);
            }
            if((control & 1 << 15) != 0)
            {
                Fill(Bank, 0, Bank);
            }
        }

        private void Fill(uint bank, uint offset, uint size)
        {
            var blank = new byte[size];
            for(var i = 0; i < blank.Length; i++)
            {
                blank[i] = 0xFF;
            }
            // Through the bus, so that code which was translated from there is forgotten.
            machine.SystemBus.WriteBytes(blank, Base + bank + offset);
        }

        private void Preset()
        {
            words.Clear();
            words[0x00] = 0x600;
            words[Control] = Lock | 1u << 30;
            words[0x20] = 0xFFEFF8AA;
            keys = 0;
        }

        private const long Control = 0x14;
        private const uint Lock = 1u << 31, Start = 1u << 16;
        private const uint Base = 0x08000000, Bank = 0x80000, Page = 0x800;
        private readonly IMachine machine;
        private int keys;
    }

    // DMA1, as far as channel 5 takes what a USART received: circular, bytes, no interrupts.
    public class StmDma : Words
    {
        public StmDma(IMachine machine)
        {
            this.machine = machine;
        }

        public void Receive(byte value)
        {
            var settings = ReadDoubleWord(Channel);
            var left = ReadDoubleWord(Channel + 4);
            if((settings & 1) == 0 || left == 0)
            {
                return;
            }
            machine.SystemBus.WriteByte(ReadDoubleWord(Channel + 12) + (count - left), value);
            left--;
            if(left == count / 2)
            {
                words[0] = ReadDoubleWord(0) | 1u << 16 | 1u << 18;
            }
            if(left == 0)
            {
                words[0] = ReadDoubleWord(0) | 1u << 16 | 1u << 17;
                left = (settings & 1 << 5) != 0 ? count : 0;
            }
            words[Channel + 4] = left;
        }

        public override void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case 0x00:
                break;
            case 0x04: // IFCR
                words[0] = ReadDoubleWord(0) & ~value;
                break;
            case Channel + 4:
                words[offset] = count = value & 0xFFFF;
                break;
            default:
                words[offset] = value;
                break;
            }
        }

        private const long Channel = 0x58;
        private readonly IMachine machine;
        private uint count;
    }

    // USART1: what is sent leaves at once, what comes keeps to the baud rate.
    public class StmUsart : Words, IUART
    {
        public StmUsart(IMachine machine, StmDma dma)
        {
            this.dma = dma;
            IRQ = new GPIO();
            line = new PacedLine(machine, this, Arrive, () => Raise(Idle));
        }

        public void WriteChar(byte value)
        {
            if(Receives)
            {
                line.Put(value);
            }
        }

        public override uint ReadDoubleWord(long offset)
        {
            switch(offset)
            {
            case 0x1C: // ISR: nothing is ever on its way out
                return flags | 0xC0 | (Receives ? 1u << 22 : 0) | (Sends ? 1u << 21 : 0);
            case 0x24: // RDR
                flags &= ~NotEmpty;
                Update();
                return data;
            default:
                return base.ReadDoubleWord(offset);
            }
        }

        public override void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case 0x20: // ICR
                flags &= ~value;
                break;
            case 0x28: // TDR
                var sent = CharReceived;
                if(Sends && sent != null)
                {
                    sent((byte)value);
                }
                break;
            default:
                words[offset] = value;
                break;
            }
            line.Baud = BaudRate;
            if(!Receives)
            {
                line.Clear();
            }
            Update();
        }

        public override void Reset()
        {
            line.Clear();
            base.Reset();
            flags = 0;
            IRQ.Unset();
        }

        public GPIO IRQ { get; private set; }

        public uint BaudRate
        {
            get
            {
                var divider = base.ReadDoubleWord(0x0C);
                return divider == 0 ? 115200 : Clock / divider;
            }
        }

        public Bits StopBits { get { return Bits.One; } }

        public Parity ParityBit { get { return Parity.None; } }

        public event Action<byte> CharReceived;

        private bool Receives { get { return (base.ReadDoubleWord(0) & 5) == 5; } }

        private bool Sends { get { return (base.ReadDoubleWord(0) & 9) == 9; } }

        private void Arrive(byte value)
        {
            if((base.ReadDoubleWord(0x08) & 1 << 6) != 0)
            {
                dma.Receive(value);
                return;
            }
            data = value;
            Raise(NotEmpty);
        }

        private void Raise(uint flag)
        {
            flags |= flag;
            Update();
        }

        // An interrupt's enable bit in CR1 is its flag's in ISR, for these two.
        private void Update()
        {
            IRQ.Set((flags & base.ReadDoubleWord(0)) != 0);
        }

        private const uint Idle = 1u << 4, NotEmpty = 1u << 5;
        private const uint Clock = 80000000;
        private readonly StmDma dma;
        private readonly PacedLine line;
        private uint flags;
        private uint data;
    }
}
