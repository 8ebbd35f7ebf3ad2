/* Flash in a file, with the rules of NOR flash: programming clears bits, erasing sets a whole sector. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "native.h"
#include "platform.h"
#include "slots.h"

static const struct {
    uint32_t primary, primary_size, secondary, secondary_size;
} slots[COMPONENTS] = BOOT_SLOTS;

static uint8_t *flash;
static uint32_t end;

static void reach(uint32_t address, uint32_t size) {
    if (address + size > end)
        end = address + size;
}

void native_open_flash(void) {
    for (unsigned i = 0; i < COMPONENTS; i++) {
        reach(slots[i].primary, slots[i].primary_size);
        reach(slots[i].secondary, slots[i].secondary_size);
    }
    reach(STORAGE_ADDRESS, STORAGE_SIZE);
    const int file = open(native.flash, O_RDWR | O_CREAT, 0600);
    struct stat state;
    if (file < 0 || fstat(file, &state))
        native_fail("cannot open the flash file %s", native.flash);
    const uint32_t there = state.st_size < (off_t)end ? (uint32_t)state.st_size : end;
    if (there < end && ftruncate(file, end))
        native_fail("cannot make %s %u bytes long", native.flash, end);
    flash = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (flash == MAP_FAILED)
        native_fail("cannot map %s", native.flash);
    memset(flash + there, 0xFF, end - there);
    close(file);
}

uint8_t *native_flash(uint32_t address) { return flash + address; }

const uint8_t *flash_at(uint32_t address) { return flash + address; }

static void check(const char *what, uint32_t address, uint32_t size, uint32_t unit) {
    if (address % unit || size % unit || address > end || size > end - address)
        native_fail("%s of %u bytes at %#x, in units of %u", what, size, address, unit);
}

bool flash_write(uint32_t address, const void *data, uint32_t size) {
    const uint8_t *from = data;
    check("flash write", address, size, FLASH_WRITE_UNIT);
    for (uint32_t i = 0; i < size; i++)
        flash[address + i] &= from[i];
    return !memcmp(flash + address, data, size);
}

bool flash_erase_sector(uint32_t address) {
    check("erase", address, FLASH_SECTOR_SIZE, FLASH_SECTOR_SIZE);
    memset(flash + address, 0xFF, FLASH_SECTOR_SIZE);
    return true;
}
