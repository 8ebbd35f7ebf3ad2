// What the models of all parts are made of.
namespace Antmicro.Renode.Peripherals.McubootHarness
{
    using System;
    using System.Collections.Generic;
    using System.Reflection;
    using Antmicro.Renode.Core;
    using Antmicro.Renode.Peripherals.Bus;
    using Antmicro.Renode.Peripherals.CPU;
    using Antmicro.Renode.Peripherals.Timers;

    // Registers by their offset. Debuggers read them while the CPU runs, so this is no dictionary.
    public class WordArray
    {
        public uint this[long offset]
        {
            get { return words[offset / 4]; }
            set { words[offset / 4] = value; }
        }

        public void Clear()
        {
            Array.Clear(words, 0, words.Length);
        }

        public const long Bytes = 0x2000;
        private readonly uint[] words = new uint[Bytes / 4];
    }

    // Words that firmware writes and reads back; what acts is overridden.
    [AllowedTranslations(AllowedTranslation.ByteToDoubleWord | AllowedTranslation.WordToDoubleWord)]
    public abstract class Words : IDoubleWordPeripheral, IKnownSize
    {
        public virtual uint ReadDoubleWord(long offset)
        {
            return words[offset];
        }

        public abstract void WriteDoubleWord(long offset, uint value);

        public virtual void Reset()
        {
            words.Clear();
        }

        public virtual long Size { get { return 0x1000; } }

        protected readonly WordArray words = new WordArray();
    }

    // Resets the machine as soon as that can be done, unless it is reset before.
    public class PendingReset
    {
        public PendingReset(IMachine machine)
        {
            this.machine = machine;
        }

        public void Ask()
        {
            var asked = ++generation;
            machine.LocalTimeSource.ExecuteInNearestSyncedState(_ =>
            {
                if(asked == generation)
                {
                    machine.Reset();
                }
            });
        }

        public void Done()
        {
            generation++;
        }

        private readonly IMachine machine;
        private uint generation;
    }

    // Notices that a core faults again while it handles a fault, which silicon ends with a lockup. Renode would go on
    // for ever, and so slowly that no watchdog bites.
    public class Faults
    {
        public Faults(CortexM cpu, Action lockedUp)
        {
            cpu.Halted += arguments =>
            {
                if(arguments.Reason == HaltReason.Abort)
                {
                    Forget(cpu);
                }
            };
            cpu.AddHookAtInterruptBegin(number =>
            {
                if(Array.IndexOf(Kinds, number) < 0)
                {
                    return;
                }
                nested++;
                if(nested == Limit)
                {
                    lockedUp();
                }
            });
            cpu.AddHookAtInterruptEnd(number => nested = 0);
        }

        public void Reset()
        {
            nested = 0;
        }

        // Renode 1.15 believes that a core which it has given up still executes, and then refuses to reset it.
        private static void Forget(CortexM cpu)
        {
            var field = typeof(TranslationCPU).GetField("pauseGuard", BindingFlags.Instance | BindingFlags.NonPublic);
            var leave = field == null ? null : field.FieldType.GetMethod("Leave");
            if(leave != null)
            {
                leave.Invoke(field.GetValue(cpu), null);
            }
        }

        // Undefined instruction, prefetch and data abort, no coprocessor, wrong state, as tlib numbers them.
        private static readonly ulong[] Kinds = { 1, 3, 4, 17, 18 };
        // A fault in a handler of faults may still be escalated, and handled; that one's cannot.
        private const int Limit = 3;
        private int nested;
    }

    // The receiving side of a serial line. Bytes come at the line's pace, so that firmware has its time between them.
    public class PacedLine
    {
        public PacedLine(IMachine machine, IPeripheral owner, Action<byte> arrived, Action idle)
        {
            this.arrived = arrived;
            this.idle = idle;
            timer = new LimitTimer(machine.ClockSource, 1000000, owner, "line", limit: 10, eventEnabled: true);
            timer.LimitReached += Next;
        }

        public void Put(byte value)
        {
            lock(waiting)
            {
                waiting.Enqueue(value);
            }
            if(!timer.Enabled)
            {
                timer.Enabled = true;
            }
        }

        public void Clear()
        {
            lock(waiting)
            {
                waiting.Clear();
            }
            timer.Enabled = false;
        }

        // Bits a second; a byte takes ten.
        public uint Baud
        {
            set { timer.Frequency = Math.Max(value, 10); }
        }

        private void Next()
        {
            byte value;
            lock(waiting)
            {
                if(waiting.Count == 0)
                {
                    timer.Enabled = false;
                    value = 0;
                }
                else
                {
                    value = waiting.Dequeue();
                }
            }
            if(timer.Enabled)
            {
                arrived(value);
            }
            else
            {
                idle();
            }
        }

        private readonly Action<byte> arrived;
        private readonly Action idle;
        private readonly LimitTimer timer;
        private readonly Queue<byte> waiting = new Queue<byte>();
    }
}
