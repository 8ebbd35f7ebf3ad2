#include "counter.h"

#include "console.h"
#include "endian.h"
#include "flash.h"

#if BOOT_HARDWARE_ROLLBACK

/*
 * A record is counter, ~counter, image number, ~image number. Programming only clears bits and erasing only
 * sets them, so a record that power loss has left between the two never satisfies both complements with
 * another value. The highest record of an image counts. The sector that is written to holds a record of
 * every image, so that the other one can be erased when this one is full.
 */
enum { RECORD = 16, RECORDS = SECTOR / RECORD };

extern const uint8_t FLASH_ORIGIN[], FLASH_SIZE[]; /* of the linker script */
extern uint32_t _data_start, _data_end, _data_load;

static struct area sector_area(unsigned number) {
    const uint32_t end = (uint32_t)(uintptr_t)FLASH_ORIGIN + (uint32_t)(uintptr_t)FLASH_SIZE;
    return (struct area){end - (2 - number) * SECTOR, SECTOR};
}

static uint32_t highest_in(struct area sector, unsigned image) {
    uint32_t highest = 0;
    for (unsigned i = 0; i < RECORDS; i++) {
        const uint8_t *const record = flash_at(sector, i * RECORD);
        const uint32_t counter = get32(record), number = get32(record + 8);
        if (counter == ~get32(record + 4) && number == ~get32(record + 12) && number == image && counter > highest)
            highest = counter;
    }
    return highest;
}

uint32_t counter_stored(unsigned number) {
    const uint32_t first = highest_in(sector_area(0), number), second = highest_in(sector_area(1), number);
    return first > second ? first : second;
}

/* Index of a record that can be written, RECORDS if there is none. */
static unsigned free_record(struct area sector) {
    unsigned i = 0;
    while (i < RECORDS && !flash_is_erased(flash_at(sector, i * RECORD), RECORD))
        i++;
    return i;
}

static void write_record(struct area sector, unsigned image, uint32_t counter) {
    uint8_t record[RECORD];
    put32(record, counter);
    put32(record + 4, ~counter);
    put32(record + 8, image);
    put32(record + 12, ~image);
    flash_write(sector, free_record(sector) * RECORD, record, RECORD);
}

/* The sector in use: the one that is partly written, after a fresh start the first. */
static struct area sector_in_use(void) {
    const unsigned first = free_record(sector_area(0)), second = free_record(sector_area(1));
    if (first < RECORDS && (first || second == 0 || second == RECORDS))
        return sector_area(0);
    if (second < RECORDS)
        return sector_area(1);
    /* Both are full: only one of them still holds the highest records. */
    unsigned stale = 0;
    for (unsigned image = 0; image < BOOT_IMAGES; image++)
        if (highest_in(sector_area(0), image) == counter_stored(image) &&
            highest_in(sector_area(1), image) != counter_stored(image))
            stale = 1;
    flash_erase(sector_area(stale), 0, SECTOR);
    return sector_area(stale);
}

void counter_raise(unsigned number, const struct image *image) {
    uint32_t counter;
    if (!image_counter(image, &counter) || counter <= counter_stored(number))
        return;
    const struct area sector = sector_in_use();
    for (unsigned other = 0; other < BOOT_IMAGES; other++)
        if (highest_in(sector, other) < counter_stored(other))
            write_record(sector, other, counter_stored(other));
    write_record(sector, number, counter);
    say("image %u: security counter is %u from now on", number, counter);
}

void counter_check_room(void) {
    const uint32_t end = (uint32_t)(uintptr_t)(&_data_load + (&_data_end - &_data_start));
    if (end > sector_area(0).address)
        stop("no room for the security counters");
}

#else

uint32_t counter_stored(unsigned number) { return (void)number, 0; }
void counter_raise(unsigned number, const struct image *image) { (void)number, (void)image; }
void counter_check_room(void) {}

#endif
