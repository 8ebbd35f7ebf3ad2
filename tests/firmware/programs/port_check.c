/* Tries a port from the inside. Commands are single bytes; what is none is sent back. */
#include "board_config.h"
#include "port.h"

static void print(const char *text) {
    size_t size = 0;
    while (text[size])
        size++;
    port_write((const uint8_t *)text, size);
}

static void print_number(uint32_t value) {
    char text[] = "00000000\n";
    for (unsigned i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 0xF];
    print(text);
}

static bool holds(uint32_t offset, const uint8_t *data, uint32_t size) {
    for (uint32_t i = 0; i < size; i++)
        if (((const volatile uint8_t *)STORAGE_ADDRESS)[offset + i] != data[i])
            return false;
    return true;
}

/* One bit for each thing that must be so. */
static uint32_t try_flash(void) {
    enum { UNIT = FLASH_WRITE_ALIGNMENT < 4 ? 4 : FLASH_WRITE_ALIGNMENT };
    uint8_t units[3 * UNIT], erased[UNIT], other[UNIT];
    for (unsigned i = 0; i < UNIT; i++) {
        units[i] = (uint8_t)(0x10 + i);
        units[UNIT + i] = erased[i] = 0xFF;
        units[2 * UNIT + i] = 0x55;
        other[i] = 0xF0;
    }
    uint32_t good = port_flash_erase(STORAGE_ADDRESS, 2 * FLASH_SECTOR_SIZE);
    good |= (uint32_t)port_flash_write(STORAGE_ADDRESS, units, sizeof units) << 1;
    good |= (uint32_t)holds(0, units, sizeof units) << 2;
    good |= (uint32_t)port_flash_write(STORAGE_ADDRESS + UNIT, other, UNIT) << 3; /* what stayed erased can be written */
    good |= (uint32_t)!port_flash_write(STORAGE_ADDRESS, other, UNIT) << 4;       /* what did not cannot become this */
    good |= (uint32_t)port_flash_write(STORAGE_ADDRESS + FLASH_SECTOR_SIZE, units, UNIT) << 5; /* and it works again */
    good |= (uint32_t)port_flash_erase(STORAGE_ADDRESS, FLASH_SECTOR_SIZE) << 6;
    good |= (uint32_t)holds(0, erased, UNIT) << 7;
    good |= (uint32_t)holds(FLASH_SECTOR_SIZE, units, UNIT) << 8; /* the sector behind it is left alone */
    return good;
}

static void command(int byte) {
    uint8_t id[8], echo = (uint8_t)byte;
    switch (byte) {
    case 'C':
        print_number(port_reset_cause());
        break;
    case 'I':
        port_device_id(id);
        for (unsigned i = 0; i < 8; i += 4)
            print_number(id[i] | id[i + 1] << 8 | id[i + 2] << 16 | (uint32_t)id[i + 3] << 24);
        break;
    case 'M':
        print_number(port_milliseconds());
        break;
    case 'O':
        print_number(port_receive_overruns());
        break;
    case 'F':
        print_number(try_flash());
        break;
    case 'E':
        port_flash_erase(STORAGE_ADDRESS, FLASH_SECTOR_SIZE);
        break;
    case 'B':
        for (const uint32_t begin = port_milliseconds(); port_milliseconds() - begin < 200;) {}
        break;
    case 'D':
        for (;;)
            __asm volatile("" ::: "memory");
    case 'P':
        print("last words\n");
        port_reset();
    case 'R':
        port_reset();
    case 'J':
        port_start_image(NEXT_PROGRAM);
    default:
        port_write(&echo, 1);
    }
}

/* What a bootloader may have left on: SysTick and interrupts, by the core's own registers. */
static bool at_rest(void) {
    bool rest = !(*(volatile uint32_t *)0xE000E010 & 1);
    for (unsigned n = 0; n < 8; n++)
        rest = rest && !((volatile uint32_t *)0xE000E100)[n] && !((volatile uint32_t *)0xE000E200)[n];
    return rest;
}

int main(void) {
    const bool rest = at_rest();
    port_init(true);
    port_watchdog_start(300);
    const uint32_t cause = port_reset_cause();
    print(SECOND ? "second " : "start ");
    print_number(cause);
    if (SECOND && !rest)
        print("not at rest\n");
    for (;;) {
        for (int byte; (byte = port_read()) >= 0;)
            command(byte);
        port_watchdog_feed();
        port_sleep();
    }
}
