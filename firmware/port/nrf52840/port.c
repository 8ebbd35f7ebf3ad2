/* nRF52840: Nordic nRF52840 Product Specification v1.7. */
#include "port.h"

#include "board_config.h"
#include "soc.h"

#define REG(address) (*(volatile uint32_t *)(address))

#define POWER_RESETREAS REG(0x40000400)
#define POWER_GPREGRET REG(0x4000051C)
#define CLOCK_HFCLKSTART REG(0x40000000)
#define CLOCK_HFCLKSTARTED REG(0x40000100)
#define CLOCK_LFCLKSTART REG(0x40000008)
#define CLOCK_LFCLKSTARTED REG(0x40000104)
#define CLOCK_LFCLKSRC REG(0x40000518)
#define FICR_DEVICEID(n) REG(0x10000060 + 4 * (n))

#define UARTE_STARTRX REG(0x40002000)
#define UARTE_STARTTX REG(0x40002008)
#define UARTE_STOPTX REG(0x4000200C)
#define UARTE_ENDTX REG(0x40002120)
#define UARTE_TXSTOPPED REG(0x40002158)
#define UARTE_RXDRDY REG(0x40002108)
#define UARTE_RXSTARTED REG(0x4000214C)
#define UARTE_SHORTS REG(0x40002200)
#define UARTE_INTENSET REG(0x40002304)
#define UARTE_INTENCLR REG(0x40002308)
#define UARTE_ENABLE REG(0x40002500)
#define UARTE_PSEL_TXD REG(0x4000250C)
#define UARTE_PSEL_RXD REG(0x40002514)
#define UARTE_BAUDRATE REG(0x40002524)
#define UARTE_RXD_PTR REG(0x40002534)
#define UARTE_RXD_MAXCNT REG(0x40002538)
#define UARTE_TXD_PTR REG(0x40002544)
#define UARTE_TXD_MAXCNT REG(0x40002548)
#define UARTE_SHORT_ENDRX_STARTRX (1u << 5)
#define UARTE_INT_RXDRDY (1u << 2)
#define UARTE_INT_RXSTARTED (1u << 19)

#define TIMER1_START REG(0x40009000)
#define TIMER1_STOP REG(0x40009004)
#define TIMER1_COUNT REG(0x40009008)
#define TIMER1_CLEAR REG(0x4000900C)
#define TIMER1_CAPTURE0 REG(0x40009040)
#define TIMER1_MODE REG(0x40009504)
#define TIMER1_BITMODE REG(0x40009508)
#define TIMER1_CC0 REG(0x40009540)

#define PPI_CHENSET REG(0x4001F504)
#define PPI_CHENCLR REG(0x4001F508)
#define PPI_CH0_EEP REG(0x4001F510)
#define PPI_CH0_TEP REG(0x4001F514)

#define NVMC_READY REG(0x4001E400)
#define NVMC_CONFIG REG(0x4001E504)
#define NVMC_ERASEPAGE REG(0x4001E508)

#define WDT_START REG(0x40010000)
#define WDT_RUNSTATUS REG(0x40010400)
#define WDT_CRV REG(0x40010504)
#define WDT_RREN REG(0x40010508)
#define WDT_CONFIG REG(0x4001050C)
#define WDT_RR0 REG(0x40010600)

#define SYST_CSR REG(0xE000E010)
#define SYST_RVR REG(0xE000E014)
#define SYST_CVR REG(0xE000E018)
#define NVIC_ISER(n) REG(0xE000E100 + 4 * (n))
#define NVIC_ICER(n) REG(0xE000E180 + 4 * (n))
#define NVIC_ICPR(n) REG(0xE000E280 + 4 * (n))
#define SCB_VTOR REG(0xE000ED08)
#define SCB_AIRCR REG(0xE000ED0C)

enum { PIN_TXD = 6, PIN_RXD = 8 };                  /* P0.06 and P0.08 go to the kit's USB serial port */
enum { CYCLES_PER_MILLISECOND = 64000, LF_HZ = 32768, MARK = 1 };
enum { PART = 128, PARTS = 32, RING = PART * PARTS }; /* the receiver fills one part after the other */
enum { TRANSMIT_CHUNK = 256 };                        /* EasyDMA reads RAM only: everything is copied first */

static volatile uint32_t milliseconds;
static uint8_t ring[RING];
static volatile uint32_t filling; /* the part that the receiver fills now */
static uint32_t arrived, taken;   /* bytes since the start, modulo 2^32 */
static uint32_t overruns;
static uint8_t leaving[TRANSMIT_CHUNK];

void SysTick_Handler(void);
void UART0_Handler(void);

void SysTick_Handler(void) { milliseconds += PORT_TICK_MS; }

/* The receiver has taken over its pointer and can be told where to go on after this part. */
void UART0_Handler(void) {
    if (UARTE_RXSTARTED) {
        UARTE_RXSTARTED = 0;
        filling = (filling + 1) % PARTS;
        UARTE_RXD_PTR = (uint32_t)&ring[filling * PART];
    }
    UARTE_INTENCLR = UARTE_INT_RXDRDY; /* it has ended the sleep */
}

/* A DMA buffer that is not full yet does not tell how much is in it: a timer counts the bytes through PPI. */
static void start_counting(void) {
    TIMER1_MODE = 1;
    TIMER1_BITMODE = 3;
    TIMER1_CLEAR = 1;
    TIMER1_START = 1;
    PPI_CH0_EEP = (uint32_t)&UARTE_RXDRDY;
    PPI_CH0_TEP = (uint32_t)&TIMER1_COUNT;
    PPI_CHENSET = 1;
}

static bool something_arrived(void) {
    TIMER1_CAPTURE0 = 1;
    arrived = TIMER1_CC0;
    if (arrived - taken > RING - PART) { /* the receiver may be overwriting what was not read */
        overruns += arrived - taken;
        taken = arrived;
    }
    return arrived != taken;
}

/* BAUDRATE holds the rate as a fraction of 16 MHz in 32 bits, rounded to a multiple of 0x1000. */
static uint32_t baud_register(uint32_t baud) {
    return ((uint32_t)(((uint64_t)baud << 32) / 16000000u) + 0x800u) & 0xFFFFF000u;
}

void port_init(bool receive) {
    CLOCK_HFCLKSTARTED = 0;
    CLOCK_HFCLKSTART = 1;
    while (!CLOCK_HFCLKSTARTED) {}
    UARTE_ENABLE = 0; /* a boot loader may have left it on */
    UARTE_INTENCLR = 0xFFFFFFFFu;
    UARTE_PSEL_TXD = PIN_TXD;
    UARTE_PSEL_RXD = PIN_RXD;
    UARTE_BAUDRATE = baud_register(CONSOLE_BAUD);
    UARTE_ENABLE = 8;
    if (!receive)
        return;
    SYST_RVR = PORT_TICK_MS * CYCLES_PER_MILLISECOND - 1;
    SYST_CVR = 0;
    SYST_CSR = 7;
    start_counting();
    UARTE_SHORTS = UARTE_SHORT_ENDRX_STARTRX;
    UARTE_INTENSET = UARTE_INT_RXSTARTED;
    NVIC_ISER(0) = 1u << UART0_IRQ;
    UARTE_RXD_PTR = (uint32_t)ring;
    UARTE_RXD_MAXCNT = PART;
    UARTE_STARTRX = 1;
}

void port_write(const uint8_t *data, size_t size) {
    while (size) {
        const size_t part = size < TRANSMIT_CHUNK ? size : TRANSMIT_CHUNK;
        for (size_t i = 0; i < part; i++)
            leaving[i] = data[i];
        UARTE_TXD_PTR = (uint32_t)leaving;
        UARTE_TXD_MAXCNT = part;
        UARTE_ENDTX = 0;
        UARTE_STARTTX = 1;
        while (!UARTE_ENDTX) {}
        UARTE_TXSTOPPED = 0;
        UARTE_STOPTX = 1;
        while (!UARTE_TXSTOPPED) {}
        data += part;
        size -= part;
    }
}

int port_read(void) {
    if (arrived == taken && !something_arrived())
        return -1;
    return ring[taken++ % RING];
}

uint32_t port_receive_overruns(void) { return overruns; }

static void wait_for_flash(void) {
    while (!(NVMC_READY & 1)) {}
}

bool port_flash_write(uint32_t address, const void *data, uint32_t size) {
    const uint8_t *from = data;
    bool good = true;
    NVMC_CONFIG = 1;
    for (uint32_t at = 0; at < size; at += 4) {
        const uint32_t word = from[at] | from[at + 1] << 8 | from[at + 2] << 16 | (uint32_t)from[at + 3] << 24;
        if (word != 0xFFFFFFFFu) { /* programming ones changes nothing and would count against the word's limit */
            REG(address + at) = word;
            wait_for_flash();
        }
        good = good && REG(address + at) == word;
    }
    NVMC_CONFIG = 0;
    return good;
}

bool port_flash_erase(uint32_t address, uint32_t size) {
    bool good = true;
    for (uint32_t page = address; page < address + size; page += FLASH_SECTOR_SIZE) {
        port_watchdog_feed();
        NVMC_CONFIG = 2;
        NVMC_ERASEPAGE = page;
        wait_for_flash();
        NVMC_CONFIG = 0;
        for (uint32_t at = page; at < page + FLASH_SECTOR_SIZE; at += 4)
            good = good && REG(at) == 0xFFFFFFFFu;
    }
    return good;
}

uint32_t port_milliseconds(void) { return milliseconds; }

/* With interrupts masked WFI still wakes, so that a byte between the look and the sleep is not missed. */
void port_sleep(void) {
    __asm volatile("cpsid i" ::: "memory");
    UARTE_RXDRDY = 0;
    UARTE_INTENSET = UARTE_INT_RXDRDY;
    if (!something_arrived())
        __asm volatile("wfi");
    __asm volatile("cpsie i\n isb" ::: "memory");
}

void port_watchdog_start(uint32_t milliseconds) {
    if (WDT_RUNSTATUS & 1)
        return;
    CLOCK_LFCLKSRC = 1; /* the kit has a crystal */
    CLOCK_LFCLKSTARTED = 0;
    CLOCK_LFCLKSTART = 1;
    while (!CLOCK_LFCLKSTARTED) {}
    WDT_CONFIG = 1; /* runs in sleep, pauses while a debugger halts the core */
    WDT_CRV = (uint32_t)((uint64_t)milliseconds * LF_HZ / 1000u);
    WDT_RREN = 1;
    WDT_START = 1;
}

void port_watchdog_feed(void) { WDT_RR0 = 0x6E524635u; }

uint32_t port_reset_cause(void) {
    const uint32_t reasons = POWER_RESETREAS;
    POWER_RESETREAS = reasons;
    uint32_t cause = reasons & 0xFu; /* bits 0 to 3 of RESETREAS stand in the order of the enum */
    if (reasons & ~0xFu)
        cause |= PORT_RESET_OTHER;
    return cause;
}

void port_reset(void) {
    __asm volatile("dsb" ::: "memory");
    SCB_AIRCR = 0x05FA0004u;
    for (;;) {}
}

/* The value that Zephyr's retention writes for a boot into the boot loader. */
bool port_ask_recovery(void) {
    POWER_GPREGRET = MARK;
    return true;
}

bool port_recovery_asked(void) {
    const bool asked = POWER_GPREGRET == MARK;
    POWER_GPREGRET = 0;
    return asked;
}

void port_start_image(uint32_t vector_table) {
    UARTE_ENABLE = 0;
    UARTE_INTENCLR = 0xFFFFFFFFu;
    UARTE_SHORTS = 0;
    PPI_CHENCLR = 1;
    TIMER1_STOP = 1;
    SYST_CSR = 0;
    NVIC_ICER(0) = NVIC_ICER(1) = 0xFFFFFFFFu;
    NVIC_ICPR(0) = NVIC_ICPR(1) = 0xFFFFFFFFu;
    SCB_VTOR = vector_table;
    __asm volatile("dsb\n isb\n msr msp, %0\n bx %1" ::"r"(REG(vector_table)), "r"(REG(vector_table + 4)) : "memory");
    __builtin_unreachable();
}

void port_device_id(uint8_t id[8]) {
    for (uint32_t i = 0; i < 8; i++)
        id[i] = (uint8_t)(FICR_DEVICEID(i / 4) >> 8 * (i % 4));
}
