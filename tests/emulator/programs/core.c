/* Small programs for the CPU model: `test_case` picks one, results go to `results`. */
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define NOINIT __attribute__((section(".noinit")))
#define NVIC_ISER REG(0xE000E100)
#define NVIC_ISPR REG(0xE000E200)
#define NVIC_IPR ((volatile uint8_t *)0xE000E400)
#define ICSR REG(0xE000ED04)
#define SHPR ((volatile uint8_t *)0xE000ED18)
#define SHCSR REG(0xE000ED24)
#define CFSR REG(0xE000ED28)
#define HFSR REG(0xE000ED2C)
#define BFAR REG(0xE000ED38)
#define CPACR REG(0xE000ED88)
#define NVMC_CONFIG REG(0x4001E504)
#define NVMC_ERASEPAGE REG(0x4001E508)

NOINIT volatile uint32_t test_case;
NOINIT volatile uint32_t results[64];
NOINIT volatile uint32_t used;
NOINIT static uint32_t thread_stack[2][256];
NOINIT static uint32_t *thread_sp[2];
NOINIT static volatile uint32_t current;
NOINIT volatile uint32_t skip; /* bytes that a fault handler adds to the stacked PC */

extern uint32_t _stack_top;

static void note(uint32_t value) { results[used++] = value; }
static uint32_t ipsr(void) { uint32_t v; __asm volatile("mrs %0, ipsr" : "=r"(v)); return v; }
static void irq_off(void) { __asm volatile("cpsid i" ::: "memory"); }
static void irq_on(void) { __asm volatile("cpsie i" ::: "memory"); }
static void barrier(void) { __asm volatile("dsb\n isb" ::: "memory"); }
static void pend(int n) { NVIC_ISPR = 1u << n; barrier(); }
static __attribute__((noreturn)) void done(void) { for (;;) __asm volatile("b ."); }

/* Interrupts 1 and 2 note their way in and out; 2 is more urgent than 1. */
static void irq1(void) { note(0x11); pend(2); note(0x12); }
static void irq2(void) { note(0x21); note(ipsr()); }
static void irq3(void) { note(0x31); }
static void systick(void) { note(0x51); }

static __attribute__((naked)) void svc(void) {
    __asm volatile("tst lr, #4\n ite eq\n mrseq r0, msp\n mrsne r0, psp\n mov r1, lr\n b svc_body");
}
__attribute__((used)) void svc_body(uint32_t *frame, uint32_t code) {
    if (((uint8_t *)frame[6])[-2] == 9) { __asm volatile("msr control, %0\n isb" ::"r"(0)); return; }
    note(code);
    note(((uint8_t *)frame[6])[-2]);
    frame[0] = 0x5C;
}

/* Switches between two threads that both use the FPU: s16-s31 and r4-r11 by hand, the rest by the core. */
static __attribute__((naked)) void pendsv(void) {
    __asm volatile("mrs r0, psp\n vstmdb r0!, {s16-s31}\n stmdb r0!, {r4-r11, lr}\n bl switch_thread\n"
                   "ldmia r0!, {r4-r11, lr}\n vldmia r0!, {s16-s31}\n msr psp, r0\n bx lr");
}
__attribute__((used)) uint32_t *switch_thread(uint32_t *sp) {
    thread_sp[current] = sp;
    current ^= 1;
    return thread_sp[current];
}

static void fault(uint32_t *frame) {
    note(ipsr()); note(CFSR); note(HFSR); note(BFAR);
    CFSR = 0xFFFFFFFF; HFSR = 0xFFFFFFFF;
    frame[6] += skip;
}
__attribute__((used)) void fault_body(uint32_t *frame) { fault(frame); }
static __attribute__((naked)) void any_fault(void) {
    __asm volatile("tst lr, #4\n ite eq\n mrseq r0, msp\n mrsne r0, psp\n b fault_body");
}

static void yield(void) { ICSR = 1u << 28; barrier(); }

static void thread_b(void) {
    float x = 100.0f;
    for (int i = 0; i < 3; i++) {
        __asm volatile("vmov s16, %0" ::"r"(0xB0u + i));
        x += 1.0f;
        note(0xB0 + i);
        yield();
        uint32_t v; __asm volatile("vmov %0, s16" : "=r"(v));
        note(v);
    }
    note((uint32_t)x);
    for (;;) yield();
}

static __attribute__((noinline)) void run_threads(void) {
    CPACR |= 0xF << 20; barrier();
    uint32_t *sp = &thread_stack[1][256];
    sp -= 26;                       /* extended frame made by hand for the first start */
    sp[6] = (uint32_t)thread_b; sp[7] = 1u << 24;
    sp -= 16;                       /* s16-s31 */
    sp -= 9; sp[8] = 0xFFFFFFED;    /* r4-r11, lr: thread, PSP, with FP state */
    thread_sp[1] = sp; current = 0;
    SHPR[10] = 0xE0;
    __asm volatile("msr psp, %0\n mrs r0, control\n orr r0, #2\n msr control, r0\n isb" ::"r"(&thread_stack[0][256]) : "r0");
    __asm volatile("vmov s16, %0" ::"r"(0xA0u));
    for (int i = 0; i < 3; i++) {
        note(0xA0 + i);
        yield();
        uint32_t v; __asm volatile("vmov %0, s16" : "=r"(v));
        note(v);
    }
    done(); /* this function's own frame is on the other stack */
}

static __attribute__((noinline)) void nesting(void) {
    NVIC_IPR[1] = 0x40; NVIC_IPR[2] = 0x20; NVIC_IPR[3] = 0x60;
    NVIC_ISER = 1 << 1 | 1 << 2 | 1 << 3;
    pend(1); note(1);
    irq_off(); pend(1); pend(3); note(2); irq_on(); barrier(); note(3);   /* both wait; 1 first, then 3 (tail-chained) */
    uint32_t base = 0x40; __asm volatile("msr basepri, %0" ::"r"(base)); pend(3); pend(1); note(4);
    base = 0x60; __asm volatile("msr basepri, %0" ::"r"(base)); barrier(); note(5);
    base = 0; __asm volatile("msr basepri, %0" ::"r"(base)); barrier(); note(6);
}

static __attribute__((noinline)) void supervisor(void) {
    uint32_t r;
    __asm volatile("mov r0, #1\n svc #7\n mov %0, r0" : "=r"(r)::"r0", "r1", "r2", "r3", "r12", "lr", "memory");
    note(r);
    irq_off();
    skip = 0;
    __asm volatile("svc #8" ::: "r0", "r1", "r2", "r3", "r12", "lr", "memory"); /* escalates: PRIMASK holds it back */
    irq_on();
    note(0xEE);
}

static __attribute__((noinline)) void faults(void) {
    SHCSR |= 7 << 16;
    skip = 2; __asm volatile("udf #1");
    skip = 4; (void)REG(0x90000000);
    SHCSR = 0;
    skip = 2; __asm volatile("udf #1");
    note(0xEE);
}

static __attribute__((noinline)) void sleeping(void) {
    NVIC_ISER = 1 << 3;
    REG(0xE000E014) = 63999; REG(0xE000E018) = 0; REG(0xE000E010) = 7; /* 1 ms */
    __asm volatile("wfi"); note(1);
    irq_off(); __asm volatile("wfi"); note(2); irq_on(); barrier(); note(3);
    REG(0xE000E010) = 0;
    __asm volatile("sev\n wfe"); note(4);      /* the event is there: no sleep */
    pend(3); __asm volatile("wfe"); note(5);   /* exception return set the event */
    __asm volatile("wfe"); note(6);            /* sleeps for ever */
}

static __attribute__((noinline)) void system_off(void) {
    REG(0x4000051C) = 0x5A; /* GPREGRET */
    note(1);
    REG(0x40000500) = 1; /* SYSTEMOFF */
    barrier();
    irq_off();
    note(2);
}

static __attribute__((noinline)) void unmodelled(void) {
    note(REG(0x4000F004)); REG(0x4000F008) = 5; note(REG(0x4000F004));
    note(REG(0x40000FF0)); REG(0x4001E400) = 7;
    for (int i = 0; i < 3; i++) note(REG(0x4000F010));
}

#define WORD(n) REG(0x80000 + 4 * (n))
static __attribute__((noinline)) void flash_rules(void) {
    WORD(0) = 0x12345678;                           /* not enabled */
    NVMC_CONFIG = 1;
    WORD(0) = 0xFFFF0FFF; WORD(0) = 0xFFFFF0FF; note(WORD(0)); WORD(0) = 0; note(WORD(0)); /* third write wears */
    *(volatile uint16_t *)0x80010 = 1;              /* halfword */
    WORD(8) = 0xCAFE;
    NVMC_ERASEPAGE = 0x80000;                       /* not in erase mode */
    note(WORD(8));
    NVMC_CONFIG = 2; NVMC_ERASEPAGE = 0x80000; NVMC_CONFIG = 0;
    note(WORD(0)); note(WORD(8));
}

__attribute__((section(".vectors"), used)) static const void *vectors[16 + 48];
void Reset_Handler(void);

static __attribute__((noinline)) void rewrite_code(void) {
    /* Run a function in flash, overwrite it (bits can only clear), run it again. movs r0,#0x7f / bx lr -> movs r0,#0x0f */
    uint32_t (*function)(void) = (uint32_t(*)(void))(0x81000 | 1);
    NVMC_CONFIG = 1; REG(0x81000) = 0x4770207F; NVMC_CONFIG = 0;
    note(function());
    NVMC_CONFIG = 1; REG(0x81000) = 0x4770200F; NVMC_CONFIG = 0;
    note(function());
}

/* movs r0,#n / bx lr beside data, stored with and without privilege: Unicorn translates addresses apart for the two. */
NOINIT static volatile uint32_t routine[64];
static __attribute__((noinline)) void code_in_ram(void) {
    uint32_t (*function)(void) = (uint32_t(*)(void))((uint32_t)routine | 1);
    for (uint32_t n = 0; n < 8; n++) {
        if (n & 2) __asm volatile("msr control, %0\n isb" ::"r"(1) : "memory");
        routine[8] = n; routine[9] = routine[8];
        routine[0] = 0x47702000 | n;
        if (n & 2) __asm volatile("svc #9" ::: "r0", "r1", "r2", "r3", "r12", "lr", "memory"); /* privileged again */
        barrier();
        if (n >= 3) note(function()); /* before, the page has seen stores of both kinds and no fetch */
    }
}

static __attribute__((noinline)) void reset_reason(void) {
    note(REG(0x40000400)); note(REG(0x4000051C)); note(REG(0x20008000));
    REG(0x40000400) = 0xFFFFFFFF;
    REG(0x4000051C) = 0x5A; REG(0x20008000) = 0xABCD;
}

static __attribute__((noinline)) void watchdog(void) {
    if (REG(0x40000400) & 2) { note(0xD06); return; }
    REG(0x40010504) = 3276; REG(0x40010508) = 1; REG(0x40010000) = 1; /* 100 ms */
    for (int i = 0; i < 5; i++) { for (volatile int k = 0; k < 100000; k++) {} REG(0x40010600) = 0x6E524635; }
    note(5);
}

NOINIT static uint8_t line[16];
static __attribute__((noinline)) void uarte_echo(void) {
    REG(0x40002524) = 0x10000000; REG(0x40002500) = 8;
    for (int n = 0; n < 3; n++) {
        REG(0x40002534) = (uint32_t)line; REG(0x40002538) = 4; REG(0x40002110) = 0; REG(0x40002000) = 1;
        while (!REG(0x40002110)) {}
        REG(0x40002544) = (uint32_t)line; REG(0x40002548) = REG(0x4000253C); REG(0x40002120) = 0; REG(0x40002008) = 1;
        while (!REG(0x40002120)) {}
    }
}

static __attribute__((noinline)) void uart_echo(void) {
    REG(0x40002500) = 4; REG(0x40002000) = 1; REG(0x40002008) = 1;
    for (int n = 0; n < 12; n++) {
        while (!REG(0x40002108)) {}
        REG(0x40002108) = 0;
        REG(0x4000251C) = REG(0x40002518);
        while (!REG(0x4000211C)) {}
        REG(0x4000211C) = 0;
    }
}

static void rtc_irq(void) { note(0x71); note(REG(0x40011504)); REG(0x40011140) = 0; }
static __attribute__((noinline)) void clocks(void) {
    NVIC_ISER = 1 << 17;
    REG(0x40011508) = 0; REG(0x40011540) = 33; REG(0x40011304) = 1 << 16; REG(0x40011000) = 1;
    REG(0x40008504) = 0; REG(0x40008508) = 3; REG(0x40008510) = 4; REG(0x40008000) = 1; /* 1 MHz, 32 bit */
    __asm volatile("wfi");
    REG(0x40008040) = 1; note(REG(0x40008540));
    /* PPI: timer compare 1 starts the temperature sensor */
    REG(0x4001F510) = 0x40008144; REG(0x4001F514) = 0x4000C000; REG(0x4001F504) = 1;
    REG(0x40008544) = REG(0x40008540) + 100;
    while (!REG(0x4000C100)) {}
    REG(0x40008040) = 1; note(REG(0x40008540)); note(REG(0x4000C508));
    REG(0x4000D000) = 1; while (!REG(0x4000D100)) {} note(REG(0x4000D508));
    REG(0x4000C570) = 5; note(REG(0x4000C570)); /* the last of the calibration that erratum 66 wants written */
}

static __attribute__((noinline)) void vector_table_moved(void) {
    extern const void *ram_vectors[];
    for (int i = 0; i < 64; i++) ((volatile uint32_t *)0x20004000)[i] = ((const uint32_t *)vectors)[i];
    ((volatile uint32_t *)0x20004000)[16 + 3] = (uint32_t)irq2;
    REG(0xE000ED08) = 0x20004000;
    NVIC_ISER = 1 << 3; pend(3); note(REG(0xE000ED00));
}

/* 7 if the condition of an access holds for what stands in its IT block, and for that alone. */
#define CONDITIONALLY(access, address, value) ({ \
    uint32_t seen; \
    __asm volatile("movs %0, #0\n cmp %0, #0\n itt eq\n " access "\n moveq %0, #1\n cmp %0, #5\n b 1f\n" \
                   "1: adds %0, #2\n adds %0, #4" : "=&l"(seen) : "l"(address), "l"(value) : "r0", "memory", "cc"); \
    seen; })
#define LOAD "ldreq r0, [%1]"
#define STORE "streq %2, [%1]"
static __attribute__((noinline)) void conditional_access(void) {
    note(CONDITIONALLY(LOAD, 0x20030000, 0));
    note(CONDITIONALLY(STORE, 0x20030800, 0x1234)); note(REG(0x20030800));
    note(CONDITIONALLY(LOAD, 0x000C0000, 0));
    NVMC_CONFIG = 1;
    note(CONDITIONALLY(STORE, 0x000C0000, 0x5678)); note(REG(0x000C0000));
    NVMC_CONFIG = 2;
    note(CONDITIONALLY(STORE, 0x4001E508, 0x000C0000)); note(REG(0x000C0000)); /* NVMC.ERASEPAGE */
    NVMC_CONFIG = 0;
    note(CONDITIONALLY(STORE, 0x000C0000, 0)); /* is ignored, and a finding */
    for (int n = 0; n < 2; n++) {
        note(CONDITIONALLY(STORE, 0x40008540, 50)); note(CONDITIONALLY(LOAD, 0x40008540, 0)); /* TIMER0.CC[0] */
        note(CONDITIONALLY(STORE, 0x40008000, 1)); /* TIMER0.START */
        note(CONDITIONALLY(LOAD, 0x40000638, 0)); /* nothing is there: another finding */
    }
    note(REG(0x40008540));
}

static __attribute__((noinline)) void lockup(void) {
    if (REG(0x40000400) & 8) { note(0x10C); return; }
    __asm volatile("mov sp, %0\n udf #0" ::"r"(0x60000000)); /* no stack to push to: HardFault, then its handler faults */
}

__attribute__((used)) void (*const cases[])(void) = {
    nesting, supervisor, run_threads, faults, sleeping, system_off, unmodelled, flash_rules, rewrite_code,
    reset_reason, watchdog, uarte_echo, uart_echo, clocks, vector_table_moved, lockup, code_in_ram,
    conditional_access,
};

void Reset_Handler(void) { cases[test_case](); done(); }

__attribute__((section(".vectors"), used)) static const void *vectors[16 + 48] = {
    [0] = &_stack_top, [1] = Reset_Handler, [2] = any_fault, [3] = any_fault, [4] = any_fault, [5] = any_fault,
    [6] = any_fault, [11] = svc, [14] = pendsv, [15] = systick, [17] = irq1, [18] = irq2, [19] = irq3, [33] = rtc_irq,
};
