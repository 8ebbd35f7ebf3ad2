/* STM32L475xG: reference manual RM0351, data sheet DS10969. */
#include "port.h"

#include "board_config.h"
#include "soc.h"

#define REG(address) (*(volatile uint32_t *)(address))

#define RCC_CR REG(0x40021000)
#define RCC_CFGR REG(0x40021008)
#define RCC_PLLCFGR REG(0x4002100C)
#define RCC_AHB1ENR REG(0x40021048)
#define RCC_AHB2ENR REG(0x4002104C)
#define RCC_APB2RSTR REG(0x40021040)
#define RCC_AHB1RSTR REG(0x40021028)
#define RCC_APB2ENR REG(0x40021060)
#define RCC_APB1ENR1 REG(0x40021058)
#define RCC_CSR REG(0x40021094)
#define RCC_CR_HSION (1u << 8)
#define RCC_CR_HSIRDY (1u << 10)
#define RCC_CR_PLLON (1u << 24)
#define RCC_CR_PLLRDY (1u << 25)
#define RCC_CFGR_SW_PLL 3u
#define RCC_AHB1ENR_DMA1 1u
#define RCC_AHB2ENR_GPIOB (1u << 1)
#define RCC_APB2ENR_USART1 (1u << 14)
#define RCC_APB1ENR1_PWR (1u << 28)
#define RCC_CSR_RMVF (1u << 23)
#define RCC_CSR_PIN (1u << 26)
#define RCC_CSR_BROWNOUT (1u << 27)
#define RCC_CSR_SOFTWARE (1u << 28)
#define RCC_CSR_WATCHDOGS (3u << 29)
#define RCC_CSR_OTHERS (1u << 31 | 3u << 24)

#define PWR_CR1 REG(0x40007000)
#define PWR_CR1_DBP (1u << 8)
#define RTC_BKP31R REG(0x400028CC)

#define GPIOB_MODER REG(0x48000400)
#define GPIOB_AFRL REG(0x48000420)

#define USART1_CR1 REG(0x40013800)
#define USART1_CR3 REG(0x40013808)
#define USART1_BRR REG(0x4001380C)
#define USART1_ISR REG(0x4001381C)
#define USART1_ICR REG(0x40013820)
#define USART1_RDR REG(0x40013824)
#define USART1_TDR REG(0x40013828)
#define USART_CR1_UE 1u
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_IDLEIE (1u << 4)
#define USART_CR3_DMAR (1u << 6)
#define USART_CR3_OVRDIS (1u << 12)
#define USART_ISR_TC (1u << 6)
#define USART_ISR_TXE (1u << 7)
#define USART_IDLE (1u << 4)

#define DMA1_ISR REG(0x40020000)
#define DMA1_IFCR REG(0x40020004)
#define DMA1_CCR5 REG(0x40020058)
#define DMA1_CNDTR5 REG(0x4002005C)
#define DMA1_CPAR5 REG(0x40020060)
#define DMA1_CMAR5 REG(0x40020064)
#define DMA1_CSELR REG(0x400200A8)
#define DMA_ROUND_5 (1u << 17) /* TCIF5 */
#define DMA_CCR_EN 1u
#define DMA_CCR_CIRC (1u << 5)
#define DMA_CCR_MINC (1u << 7)
#define DMA_CSELR_5_USART1 (2u << 16)

#define FLASH_ACR REG(0x40022000)
#define FLASH_KEYR REG(0x40022008)
#define FLASH_SR REG(0x40022010)
#define FLASH_CR REG(0x40022014)
#define FLASH_ACR_CACHES (3u << 9)
#define FLASH_ACR_PREFETCH (1u << 8)
#define FLASH_SR_ERRORS 0xC3FBu
#define FLASH_SR_BSY (1u << 16)
#define FLASH_CR_PG 1u
#define FLASH_CR_PER (1u << 1)
#define FLASH_CR_PAGE(n) ((n) << 3) /* page in its bank, and above it the bank */
#define FLASH_CR_STRT (1u << 16)
#define FLASH_CR_LOCK (1u << 31)
#define FLASH_START 0x08000000u

#define IWDG_KR REG(0x40003000)
#define IWDG_PR REG(0x40003004)
#define IWDG_RLR REG(0x40003008)
#define IWDG_SR REG(0x4000300C)

#define UID(n) REG(0x1FFF7590 + 4 * (n))

#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)
#define SYST_CVR REG(0xE000E018)
#define NVIC_ISER(n) REG(0xE000E100 + 4 * (n))
#define NVIC_ICER(n) REG(0xE000E180 + 4 * (n))
#define NVIC_ICPR(n) REG(0xE000E280 + 4 * (n))
#define SCB_VTOR REG(0xE000ED08)
#define SCB_AIRCR REG(0xE000ED0C)

enum { HCLK = 80000000, CYCLES_PER_MILLISECOND = HCLK / 1000, WAIT_STATES = 4 };
enum { MARK = 0x7EC0B007 };
enum { PAGE = 0x800, RING = 4096 }; /* the ring holds what arrives while erasing a page stops the CPU for 22 ms */

_Static_assert(FLASH_SECTOR_SIZE == PAGE, "flash is erased in pages of 2 KiB");
_Static_assert(FLASH_WRITE_ALIGNMENT == 8, "flash is programmed in double words");

static volatile uint32_t milliseconds;
static uint8_t ring[RING];
static volatile uint32_t rounds; /* how often the receiver went through the ring */
static uint32_t arrived, taken;  /* bytes since the start, modulo 2^32 */
static uint32_t overruns;
static bool receiving;

void SysTick_Handler(void);
void UART0_Handler(void);

static void count_round(void) {
    if (DMA1_ISR & DMA_ROUND_5) {
        DMA1_IFCR = DMA_ROUND_5;
        rounds++;
    }
}

void SysTick_Handler(void) {
    milliseconds += PORT_TICK_MS;
    count_round();
}

/* The line is idle: the sleep ends, and what arrived can be looked at. */
void UART0_Handler(void) { USART1_ICR = USART_IDLE; }

static uint32_t rounds_now(void) {
    const uint32_t counted = rounds;
    return counted + (DMA1_ISR & DMA_ROUND_5 ? 1 : 0);
}

/* A round may end, and be counted, between any two of these reads: then they are repeated. */
static uint32_t received(void) {
    for (;;) {
        const uint32_t before = rounds_now(), left = DMA1_CNDTR5;
        if (before == rounds_now())
            return before * RING + (RING - left);
    }
}

static bool something_arrived(void) {
    if (!receiving)
        return false;
    arrived = received();
    if (arrived - taken > RING) {
        overruns += arrived - taken;
        taken = arrived;
    }
    return arrived != taken;
}

/* 80 MHz from the 16 MHz oscillator: 16 / 2 * 20 / 2. A bootloader may have left it like that. */
static void start_clock(void) {
    if ((RCC_CFGR & 3u) == RCC_CFGR_SW_PLL)
        return;
    FLASH_ACR = FLASH_ACR_CACHES | FLASH_ACR_PREFETCH | WAIT_STATES;
    while ((FLASH_ACR & 7u) != WAIT_STATES) {}
    RCC_CR |= RCC_CR_HSION;
    while (!(RCC_CR & RCC_CR_HSIRDY)) {}
    RCC_PLLCFGR = 1u << 24 | 20u << 8 | 1u << 4 | 2u;
    RCC_CR |= RCC_CR_PLLON;
    while (!(RCC_CR & RCC_CR_PLLRDY)) {}
    RCC_CFGR |= RCC_CFGR_SW_PLL;
    while ((RCC_CFGR >> 2 & 3u) != RCC_CFGR_SW_PLL) {}
}

/* PB6 and PB7 go to the debug probe; alternate function 7 is USART1. */
static void connect_pins(void) {
    GPIOB_AFRL = (GPIOB_AFRL & 0x00FFFFFFu) | 0x77000000u;
    GPIOB_MODER = (GPIOB_MODER & ~0xF000u) | 0xA000u;
}

void port_init(bool receive) {
    start_clock();
    RCC_AHB1ENR |= RCC_AHB1ENR_DMA1;
    RCC_AHB2ENR |= RCC_AHB2ENR_GPIOB;
    RCC_APB2ENR |= RCC_APB2ENR_USART1;
    (void)RCC_APB2ENR; /* a clock needs two cycles to get there (RM0351 6.2.17) */
    connect_pins();
    USART1_CR1 = 0; /* a boot loader may have left it on, and it takes no rate then */
    USART1_BRR = (HCLK + CONSOLE_BAUD / 2) / CONSOLE_BAUD;
    if (!receive) {
        USART1_CR1 = USART_CR1_UE | USART_CR1_TE;
        return;
    }
    SYST_RVR = PORT_TICK_MS * CYCLES_PER_MILLISECOND - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
    DMA1_CSELR = DMA_CSELR_5_USART1;
    DMA1_CPAR5 = (uint32_t)&USART1_RDR;
    DMA1_CMAR5 = (uint32_t)ring;
    DMA1_CNDTR5 = RING;
    DMA1_CCR5 = DMA_CCR_MINC | DMA_CCR_CIRC | DMA_CCR_EN;
    USART1_CR3 = USART_CR3_DMAR | USART_CR3_OVRDIS;
    USART1_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_IDLEIE;
    NVIC_ISER(UART0_IRQ / 32) = 1u << UART0_IRQ % 32;
    receiving = true;
}

void port_write(const uint8_t *data, size_t size) {
    for (; size; size--) {
        while (!(USART1_ISR & USART_ISR_TXE)) {}
        USART1_TDR = *data++;
    }
    while (!(USART1_ISR & USART_ISR_TC)) {}
}

int port_read(void) {
    if (arrived == taken && !something_arrived())
        return -1;
    return ring[taken++ % RING];
}

uint32_t port_receive_overruns(void) { return overruns; }

static void unlock_flash(void) {
    if (FLASH_CR & FLASH_CR_LOCK) {
        FLASH_KEYR = 0x45670123u;
        FLASH_KEYR = 0xCDEF89ABu;
    }
    FLASH_SR = FLASH_SR_ERRORS;
}

static void wait_for_flash(void) {
    while (FLASH_SR & FLASH_SR_BSY) {}
}

static uint32_t word_at(const uint8_t *from) {
    return from[0] | from[1] << 8 | from[2] << 16 | (uint32_t)from[3] << 24;
}

bool port_flash_write(uint32_t address, const void *data, uint32_t size) {
    const uint8_t *from = data;
    bool good = true;
    unlock_flash();
    FLASH_CR = FLASH_CR_PG;
    for (uint32_t at = 0; at < size; at += 8) {
        const uint32_t low = word_at(from + at), high = word_at(from + at + 4);
        if ((low & high) != 0xFFFFFFFFu) { /* nothing says that such a unit could be written later */
            REG(address + at) = low;
            REG(address + at + 4) = high;
            wait_for_flash();
        }
        good = good && REG(address + at) == low && REG(address + at + 4) == high;
    }
    FLASH_CR = FLASH_CR_LOCK;
    return good;
}

bool port_flash_erase(uint32_t address, uint32_t size) {
    bool good = true;
    unlock_flash();
    for (uint32_t page = address; page < address + size; page += PAGE) {
        port_watchdog_feed();
        FLASH_CR = FLASH_CR_PER | FLASH_CR_PAGE((page - FLASH_START) / PAGE);
        FLASH_CR |= FLASH_CR_STRT;
        wait_for_flash();
        for (uint32_t at = page; at < page + PAGE; at += 4)
            good = good && REG(at) == 0xFFFFFFFFu;
    }
    FLASH_CR = FLASH_CR_LOCK;
    return good;
}

uint32_t port_milliseconds(void) { return milliseconds; }

/* With interrupts masked WFI still wakes, so that a byte between the look and the sleep is not missed. */
void port_sleep(void) {
    __asm volatile("cpsid i" ::: "memory");
    if (!something_arrived())
        __asm volatile("wfi");
    __asm volatile("cpsie i\n isb" ::: "memory");
}

/* The slow oscillator has about 32 kHz: a prescaler of 32 makes milliseconds. It is off after every reset. */
void port_watchdog_start(uint32_t milliseconds) {
    IWDG_KR = 0xCCCCu;
    IWDG_KR = 0x5555u;
    while (IWDG_SR & 3u) {}
    IWDG_PR = 3;
    IWDG_RLR = milliseconds < 0xFFFu ? milliseconds : 0xFFFu;
    while (IWDG_SR & 3u) {}
    IWDG_KR = 0xAAAAu;
}

void port_watchdog_feed(void) { IWDG_KR = 0xAAAAu; }

/* The chip pulls its reset pin whenever it resets itself: the pin alone means the pin. */
uint32_t port_reset_cause(void) {
    const uint32_t flags = RCC_CSR;
    RCC_CSR = flags | RCC_CSR_RMVF;
    RCC_CSR = flags & ~RCC_CSR_RMVF;
    uint32_t cause = 0;
    if (flags & RCC_CSR_WATCHDOGS)
        cause |= PORT_RESET_WATCHDOG;
    if (flags & RCC_CSR_SOFTWARE)
        cause |= PORT_RESET_SOFTWARE;
    if (flags & RCC_CSR_OTHERS)
        cause |= PORT_RESET_OTHER;
    if (!cause && flags & RCC_CSR_PIN && !(flags & RCC_CSR_BROWNOUT))
        cause = PORT_RESET_PIN;
    return cause;
}

void port_reset(void) {
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = 0x05FA0004u;
    for (;;) {}
}

static void set_mark(uint32_t value) {
    RCC_APB1ENR1 |= RCC_APB1ENR1_PWR;
    (void)RCC_APB1ENR1;
    PWR_CR1 |= PWR_CR1_DBP;
    while (!(PWR_CR1 & PWR_CR1_DBP)) {}
    RTC_BKP31R = value;
    PWR_CR1 &= ~PWR_CR1_DBP;
}

/* The last backup register: those who use some begin with the first. A battery keeps it, too. */
bool port_ask_recovery(void) {
    set_mark(MARK);
    return true;
}

bool port_recovery_asked(void) {
    const bool asked = RTC_BKP31R == MARK;
    if (asked)
        set_mark(0);
    return asked;
}

void port_start_image(uint32_t vector_table) {
    RCC_APB2RSTR = RCC_APB2ENR_USART1;
    RCC_APB2RSTR = 0;
    RCC_AHB1RSTR = RCC_AHB1ENR_DMA1;
    RCC_AHB1RSTR = 0;
    SYST_CSR = 0;
    NVIC_ICER(0) = NVIC_ICER(1) = NVIC_ICER(2) = 0xFFFFFFFFu;
    NVIC_ICPR(0) = NVIC_ICPR(1) = NVIC_ICPR(2) = 0xFFFFFFFFu;
    SCB_VTOR = vector_table;
    __asm volatile("dsb\n isb\n msr msp, %0\n bx %1" ::"r"(REG(vector_table)), "r"(REG(vector_table + 4)) : "memory");
    __builtin_unreachable();
}

void port_device_id(uint8_t id[8]) {
    for (uint32_t i = 0; i < 8; i++)
        id[i] = (uint8_t)(UID(i / 4) >> 8 * (i % 4));
}
