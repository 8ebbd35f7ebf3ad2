/* Small programs for the STM32L475 model: `test_case` picks one, results go to `results`. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define NOINIT __attribute__((section(".noinit")))
#define CASE static __attribute__((noinline)) void
#define RCC(offset) REG(0x40021000 + (offset))
#define CR1 REG(0x40013800)
#define CR3 REG(0x40013808)
#define BRR REG(0x4001380C)
#define ISR REG(0x4001381C)
#define ICR REG(0x40013820)
#define RDR REG(0x40013824)
#define TDR REG(0x40013828)
#define KEYR REG(0x40022008)
#define SR REG(0x40022010)
#define CR REG(0x40022014)
#define LOCK (1u << 31)
#define PAGE 0x08040000 /* page 128 of bank 1 */
#define SECOND_BANK 0x08081000

NOINIT volatile uint32_t test_case;
NOINIT volatile uint32_t results[64];
NOINIT volatile uint32_t used;
NOINIT static uint8_t ring[8];
NOINIT volatile uint32_t interrupts;

extern uint32_t _stack_top;

static void note(uint32_t value) { results[used++] = value; }
static __attribute__((noreturn)) void done(void) { for (;;) __asm volatile("b ."); }

static void unlock(void) { KEYR = 0x45670123; KEYR = 0xCDEF89AB; }

/* Two stores, as the part wants them; then SR, with its errors cleared. */
static uint32_t put(uint32_t address, uint32_t low, uint32_t high) {
    REG(address) = low;
    REG(address + 4) = high;
    const uint32_t status = SR;
    SR = 0xC3FA;
    return status;
}

static void erase(uint32_t what) {
    CR = what;
    CR = what | 1 << 16;
    while (SR & 1 << 16) {}
}

CASE flash_rules(void) {
    note(put(PAGE, 1, 2));                         /* locked */
    unlock(); note(CR & LOCK);
    note(put(PAGE, 1, 2));                         /* PG is not set */
    CR = 1;
    note(put(PAGE, 0x12345678, 0x9ABCDEF0)); note(REG(PAGE)); note(REG(PAGE + 4));
    note(put(PAGE, 0x12345678, 0x1ABCDEF0));       /* not erased any more */
    note(put(PAGE, 0, 0)); note(REG(PAGE + 4));    /* zeros are always taken */
    REG(PAGE + 8) = 5; REG(PAGE + 16) = 6;         /* two lower halves */
    note(SR); SR = 0xC3FA;
    REG(PAGE + 12) = 5; note(SR); SR = 0xC3FA;     /* an upper half alone */
    *(volatile uint16_t *)(PAGE + 8) = 1; note(SR); /* a halfword; its error is not cleared */
    REG(PAGE + 8) = 7; REG(PAGE + 12) = 8; note(SR); SR = 0xC3FA; note(REG(PAGE + 8));
    __asm volatile("strd %0, %1, [%2]" ::"r"(0xAAAA), "r"(0xBBBB), "r"(PAGE + 8) : "memory");
    note(REG(PAGE + 8)); note(REG(PAGE + 12)); note(SR);
    CR = 0;
}

CASE flash_erases(void) {
    unlock();
    CR = 1; put(PAGE, 1, 2); put(PAGE + 0x800, 3, 4); put(SECOND_BANK, 5, 6);
    erase(2 | 128 << 3);
    note(REG(PAGE)); note(REG(PAGE + 0x800)); note(REG(SECOND_BANK));
    erase(2 | 1 << 11 | 2 << 3);                   /* page 2 of bank 2 */
    note(REG(PAGE + 0x800)); note(REG(SECOND_BANK));
    CR = 1; put(SECOND_BANK, 5, 6);
    erase(1 << 15);                                /* bank 2 */
    note(REG(PAGE + 0x800)); note(REG(SECOND_BANK));
    erase(3); note(SR);                            /* PG and PER at once; its error is not cleared */
    erase(2 | 128 << 3); note(REG(PAGE + 0x800)); SR = 0xC3FA;
    CR = LOCK; note(CR); CR = 1; note(CR);
    KEYR = 1; unlock(); note(CR & LOCK);           /* one wrong key locks until the next reset */
}

/* A unit of which power may be cut, and what a word alone leaves. */
CASE half_a_unit(void) {
    unlock(); CR = 1;
    REG(PAGE) = 0x11111111;
    for (volatile int i = 0; i < 50; i++) {}
    REG(PAGE + 4) = 0x22222222;
    REG(PAGE + 8) = 0x33333333;
    CR = 0; CR = 1;                                /* the waiting word is forgotten */
    put(PAGE + 16, 0x44444444, 0x55555555);
    note(REG(PAGE + 8)); note(SR);
}

CASE rewrite_code(void) {
    /* movs r0,#0x7f; bx lr - and then the whole unit cleared: movs r0,r0 */
    uint32_t (*function)(uint32_t) = (uint32_t(*)(uint32_t))(PAGE | 1);
    unlock(); CR = 1; put(PAGE, 0x4770207F, 0x4770); CR = 0;
    note(function(5));
    CR = 1; put(PAGE, 0, 0); put(PAGE + 8, 0x4770, 0); CR = 0;
    note(function(5));
}

CASE reset_causes(void) { note(RCC(0x94)); RCC(0x94) = 1 << 23; note(RCC(0x94) & 0xFF000000); }

static void fast(void) {
    REG(0x40022000) = 4;
    RCC(0) |= 1 << 8;
    RCC(0x0C) = 1 << 24 | 20 << 8 | 1 << 4 | 2;
    RCC(0) |= 1 << 24;
    RCC(8) = 3;
}

CASE clocks(void) {
    fast(); note(RCC(8));
    RCC(0x0C) = 0;                                 /* the PLL runs */
    RCC(0) &= ~(1u << 24);                         /* and the CPU runs on it */
    note(RCC(0x0C) >> 8 & 0x7F); note(RCC(0) >> 24 & 3);
    REG(0x40022000) = 0;                           /* too few wait states */
    RCC(8) = 2;                                    /* an oscillator that is off */
    note(RCC(8));
}

CASE no_clock(void) {
    BRR = 100; note(BRR);
    RCC(0x60) = 1 << 14; BRR = 100; note(BRR);
    RCC(0x40) = 1 << 14; RCC(0x40) = 0; note(BRR); /* reset by RCC */
    BRR = 100; RCC(0x60) = 0; note(BRR); RCC(0x60) = 1 << 14; note(BRR);
}

/* PB6 and PB7 are USART1. */
static void port_on(uint32_t control) {
    RCC(0x4C) |= 2;
    REG(0x48000420) = 0x77000000; REG(0x48000400) = 0xFFFFAEBF;
    RCC(0x60) = 1 << 14;
    BRR = 4000000 / 100000;
    CR1 = control | 1 << 3 | 1 << 2 | 1;
}

static void usart_irq(void) {
    interrupts++;
    if (ISR & 1 << 5) TDR = RDR;
    ICR = 1 << 4;
}

CASE echo(void) {
    port_on(1 << 5);
    REG(0xE000E104) = 1 << 5;
    for (;;) __asm volatile("wfi");
}

/* Bytes arrive while the CPU stands still for flash. */
CASE deaf(void) {
    port_on(0); unlock();
    while (!(ISR & 1 << 5)) {}
    note(RDR);
    erase(2 | 128 << 3);
    note(ISR & 0x28); note(RDR);
}

CASE no_pin(void) {
    port_on(0); TDR = 'a';
    while (!(ISR & 1 << 6)) {}
    REG(0x48000400) = 0xFFFF9FFF; TDR = 'b';       /* PB6 is an output now */
    while (!(ISR & 1 << 6)) {}
    REG(0x48000400) = 0xFFFF1FFF;                  /* and PB7 an input */
    for (volatile int i = 0; i < 1000; i++) {}
    note(ISR & 1 << 5);
    REG(0x48000400) = 0xFFFFAFFF;
    while (!(ISR & 1 << 5)) {}
    note(RDR);
}

CASE overrun(void) {
    port_on(0);
    while (!(ISR & 1 << 3)) {}
    note(ISR & 0x28); note(RDR); note(ISR & 0x28);
    ICR = 1 << 3; note(ISR & 0x28);
}

CASE send(void) {
    port_on(0);
    TDR = 'a'; note(ISR & 0xC0); TDR = 'b'; note(ISR & 0xC0);
    TDR = 'X';                                     /* no room: lost */
    while (!(ISR & 1 << 7)) {}
    TDR = 'c';
    while (!(ISR & 1 << 6)) {}
    note(ISR & 0xC0);
}

/* Round and round through eight bytes of memory; interrupts when the line is idle. */
CASE ring_by_dma(void) {
    RCC(0x48) |= 1;
    REG(0x400200A8) = 2 << 16; REG(0x40020060) = (uint32_t)&RDR; REG(0x40020064) = (uint32_t)ring;
    REG(0x4002005C) = sizeof ring; REG(0x40020058) = 1 << 7 | 1 << 5 | 1;
    interrupts = 0;
    RCC(0x60) = 1 << 14; CR3 = 1 << 6; port_on(1 << 4);
    REG(0xE000E104) = 1 << 5;
    while (interrupts < 2) __asm volatile("wfi");
    note(interrupts); note(REG(0x4002005C)); note(REG(0x40020000) >> 16);
    REG(0x40020004) = 1 << 16; note(REG(0x40020000));
    for (unsigned i = 0; i < sizeof ring; i++) note(ring[i]);
}

CASE send_by_dma(void) {
    RCC(0x48) |= 1;
    for (unsigned i = 0; i < sizeof ring; i++) ring[i] = 'a' + i;
    REG(0x400200A8) = 2 << 12; REG(0x4002004C) = (uint32_t)&TDR; REG(0x40020050) = (uint32_t)ring;
    REG(0x40020048) = sizeof ring;
    RCC(0x60) = 1 << 14; CR3 = 1 << 7; port_on(0);
    REG(0x40020044) = 1 << 7 | 1 << 4 | 1;
    note(ISR & 0x40);
    while (!(ISR & 1 << 6)) {}
    note(REG(0x40020000) >> 12); note(REG(0x40020048));
}

CASE watchdog(void) {
    if (RCC(0x94) & 1 << 29) { note(0xD06); return; }
    REG(0x40003000) = 0x5555; REG(0x40003004) = 0; REG(0x40003008) = 799; /* 800 * 4 ticks of 32 kHz: 100 ms */
    note(REG(0x4000300C));
    while (REG(0x4000300C)) {}
    REG(0x40003008) = 1;                           /* KR says 0x5555 still: taken */
    while (REG(0x4000300C)) {}
    REG(0x40003000) = 0; REG(0x40003008) = 5;      /* not any more */
    REG(0x40003000) = 0x5555; REG(0x40003008) = 799; while (REG(0x4000300C)) {}
    REG(0x40003000) = 0xCCCC;
    for (int i = 0; i < 5; i++) { for (volatile int k = 0; k < 30000; k++) {} REG(0x40003000) = 0xAAAA; }
    note(5);
    fast();                                        /* the watchdog's time stays the same */
}

CASE watchdog_in_lockup(void) {
    if (RCC(0x94) & 1 << 29) { note(0xD06); return; }
    REG(0x40003000) = 0xCCCC;
    __asm volatile("cpsid f\n udf #0");            /* a fault where none may be handled */
}

CASE pins(void) {
    RCC(0x4C) = 2;
    REG(0x48000400) = 1 << 10; REG(0x4800040C) = 1 << 6; /* PB5 out, PB3 pulled up */
    REG(0x48000418) = 1 << 5; note(REG(0x48000410));
    REG(0x48000418) = 1 << 21; note(REG(0x48000410));
    REG(0x48000414) = 0x20; REG(0x48000428) = 0x20; note(REG(0x48000414));
}

CASE identity(void) {
    for (int i = 0; i < 3; i++) note(REG(0x1FFF7590 + 4 * i));
    note(REG(0x1FFF75E0) & 0xFFFF); note(REG(0xE0042000)); note(REG(0)); note((uint32_t)&_stack_top);
}

__attribute__((used)) void (*const cases[])(void) = {
    flash_rules, flash_erases, half_a_unit, rewrite_code, reset_causes, clocks, no_clock, echo, overrun, send,
    ring_by_dma, send_by_dma, watchdog, watchdog_in_lockup, pins, identity, deaf, no_pin,
};

void Reset_Handler(void) { cases[test_case](); done(); }

__attribute__((section(".vectors"), used)) static const void *vectors[16 + 64] = {
    [0] = &_stack_top, [1] = Reset_Handler, [2 ... 14] = done, [16 + 37] = usart_irq,
};
