#include "record.h"

#include "bytes.h"
#include "config.h"
#include "defects.h"
#include "platform.h"
#include "slots.h"

enum { RECORD_MAGIC = 0x52435431, HEAD_SIZE = 16, UNIT = FLASH_WRITE_UNIT < HEAD_SIZE ? HEAD_SIZE : FLASH_WRITE_UNIT };
enum { SECTORS = STORAGE_SIZE / FLASH_SECTOR_SIZE, BUFFER = RECORD_MAX + HEAD_SIZE };

_Static_assert(SECTORS >= 2, "the storage partition needs two sectors: one keeps the last record while the other is erased");

/*
 * magic u32 | sequence u32 | size u16, zero u16 | CRC-32 of all this but itself, and of the content.
 * The state below is what the last scan of the flash found; it is made once, and kept.
 */
static struct {
    bool scanned;
    uint32_t newest;   /* address of the newest record, 0 if there is none */
    uint32_t sequence; /* its number */
    uint32_t end;      /* where the next one goes; the end of a sector if that one is full */
    unsigned sector;   /* the sector it is in */
} journal;

static uint32_t sector_start(unsigned sector) { return STORAGE_ADDRESS + sector * FLASH_SECTOR_SIZE; }

static uint32_t room_for(uint32_t size) { return round_up(HEAD_SIZE + size, UNIT); }

static uint32_t checksum(const uint8_t *head, const uint8_t *content, uint32_t size) {
    return crc32(crc32(0, head, HEAD_SIZE - 4), content, size);
}

/* Room that the good record at this address takes, 0 if there is none. */
static uint32_t good_record(uint32_t address, uint32_t end) {
    const uint8_t *head = flash_at(address);
    if (address + HEAD_SIZE > end || get32(head) != RECORD_MAGIC)
        return 0;
    const uint32_t size = get16(head + 8);
    if (room_for(size) > end - address || get32(head + 12) != checksum(head, head + HEAD_SIZE, size))
        return 0;
    return room_for(size);
}

static bool erased(uint32_t from, uint32_t to) {
    for (; from < to; from++)
        if (*flash_at(from) != 0xFF)
            return false;
    return true;
}

static void scan(void) {
    if (journal.scanned)
        return;
    journal.scanned = true;
    journal.sector = SECTORS - 1;
    journal.end = sector_start(SECTORS);
    for (unsigned sector = 0; sector < SECTORS; sector++) {
        const uint32_t end = sector_start(sector + 1);
        uint32_t at = sector_start(sector);
        for (uint32_t room; (room = good_record(at, end)) != 0; at += room) {
            const uint32_t sequence = get32(flash_at(at + 4));
            if (journal.newest && (int32_t)(sequence - journal.sequence) <= 0)
                continue;
            journal.newest = at;
            journal.sequence = sequence;
            journal.sector = sector;
        }
        /* Behind a torn record nothing is to be trusted: this sector is full. */
        if (journal.sector == sector && journal.newest)
            journal.end = erased(at, end) ? at : end;
    }
}

size_t record_load(void *data, size_t capacity) {
    scan();
    if (!journal.newest)
        return 0;
    const uint8_t *head = flash_at(journal.newest);
    const size_t size = get16(head + 8);
    if (size > capacity)
        return 0;
    memcpy(data, head + HEAD_SIZE, size);
    return size;
}

static bool next_sector(void) {
    journal.sector = (journal.sector + 1) % SECTORS;
    journal.end = sector_start(journal.sector);
    const uint32_t end = sector_start(journal.sector + 1);
    if (erased(journal.end, end) || flash_erase_sector(journal.end))
        return true;
    journal.end = end;
    return false;
}

static bool is_newest(const void *data, size_t size) {
    const uint8_t *head = flash_at(journal.newest);
    return journal.newest && get16(head + 8) == size && equal(head + HEAD_SIZE, data, size);
}

bool record_store(const void *data, size_t size) {
    static uint8_t record[BUFFER];
    const uint32_t room = room_for((uint32_t)size);
    if (DEFECT(forgets_record, true, false))
        return true;
    if (room > sizeof record)
        return false;
    scan();
    if (!DEFECT(record_with_each_block, true, DEFECT(record_at_each_start, true, false)) && is_newest(data, size))
        return true; /* nothing new: spare the flash */
    if (room > sector_start(journal.sector + 1) - journal.end && !next_sector())
        return false;
    memset(record, 0xFF, room);
    put32(record, RECORD_MAGIC);
    put32(record + 4, journal.sequence + 1);
    put32(record + 8, (uint32_t)size);
    memcpy(record + HEAD_SIZE, data, size);
    put32(record + 12, checksum(record, record + HEAD_SIZE, (uint32_t)size));
    const uint32_t address = journal.end;
    if (!flash_write(address, record, room)) {
        journal.end = sector_start(journal.sector + 1);
        return false;
    }
    journal.end = address + room;
    journal.newest = address;
    journal.sequence++;
    return true;
}

uint32_t record_sequence(void) {
    scan();
    return journal.sequence;
}
