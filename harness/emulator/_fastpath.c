/*
 * The two callbacks of the emulator that run millions of times a second: one before every
 * translated block, one for every store that the CPU makes to flash or to a device register.
 *
 * It links against nothing: Unicorn's functions arrive as pointers, memory arrives as pointers,
 * and whatever is not hot goes to a Python callback. `_hot_native.py` mirrors `struct hot` field by
 * field and `_hot_python.py` does the same in Python; both must keep the same journal to the bit.
 */
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

enum { REG_PC = 11, REG_EPSR = 121, REG_BASEPRI = 124, REG_FAULTMASK = 126, REG_PRIMASK = 123 }; /* checked by Python at load */
enum { DEADLINE = 1, ASKED, EXCEPTION, SPIN, DEVICE, CUT, ENTRY };
enum { BRANCH_TO_SELF = 0xE7FE, SEV = 0xBF40 };
enum { DEVICE_SLOTS = 256 };
enum { READ = 1, WRITE = 2, EXECUTE = 4, FETCH = 18 }; /* as Unicorn numbers them */
enum { RAM_PAGE_SHIFT = 10 };
enum { NONE, NEW, SOME };          /* code in RAM */
enum { NOT_RUN, RUN, REWRITTEN }; /* a flash page, seen as code */

typedef int write_register(void *, int, const void *);

typedef struct { /* one flash operation, 48 bytes */
    uint64_t instructions, value, previous;
    uint32_t kind, address, size, pc, master, reserved;
} record;

typedef struct { /* a 4 KiB page of device registers */
    uint32_t page; /* address >> 12; 0 = slot unused */
    uint32_t reserved;
    uint32_t *words;
    uint32_t quiet[32]; /* bit n: reading word n has no effect */
    uint32_t plain[32]; /* bit n: writing word n only stores it */
} device_page;

enum { KNOWN_BLOCKS = 4096 }; /* a power of two */

typedef struct { /* a block of flash that has run, and only counts */
    uint32_t pc, size, instructions, generation;
} known_block;

enum { NOTHING_HELD = 0xFFFFFFFF };

typedef struct { /* words that wait for the rest of their unit */
    uint32_t next;     /* address at which the unit goes on, or NOTHING_HELD */
    uint32_t words[2]; /* by their place in the unit */
} latch;

typedef struct { /* memory that can only be programmed and erased */
    uint32_t base, size, page_shift, write_limit;
    uint8_t *memory;
    uint8_t *executed;       /* per page: NOT_RUN, RUN or REWRITTEN (translated code is out of date) */
    uint8_t *writes;         /* per word: programmed so often since its erase */
    volatile uint32_t *gate; /* programming is allowed while (*gate & gate_mask) == gate_value */
    uint32_t gate_mask, gate_value;
    uint32_t unit;       /* bytes programmed at once: 4 or 8 */
    uint32_t write_once; /* a unit takes nothing but zeros once it is not erased any more */
    latch *held;
    const uint64_t *stall; /* cycles that the CPU stands still for one unit */
} array;

typedef struct hot {
    uint64_t instructions; /* executed, the block being run included */
    uint64_t deadline;     /* stop before the first block that starts at or after it */
    uint64_t skipped;      /* cycles in which no instruction ran: sleep, flash stalls */
    uint32_t block, block_size;
    uint32_t stop;     /* stop before the next block: another thread asks, or something needs attention */
    uint32_t reason;   /* why the CPU stopped */
    uint32_t waiting;  /* 1 + priority of the exception that waits for the masks to open; 0 = none */
    uint32_t event;    /* the event register: set by SEV */
    uint32_t group_mask; /* bits of a priority that decide about preemption */
    uint32_t generation; /* of the code in flash; never 0 */
    uint32_t entry, entry_size;    /* code that the CPU is to stop before */
    uint64_t operations, cut; /* flash operations so far; the one before which power goes */
    uint64_t cut_value;
    uint32_t cut_address, cut_pc, recording, code_in_ram;
    uint64_t arrays;
    uint64_t used, room;
    record *journal;
    array *array;
    device_page *devices;
    known_block *known;
    uint8_t *ram, *ram_code; /* ram_code per page: 1 = the CPU has fetched from it */
    uint32_t ram_base, ram_size;
    int (*emu_stop)(void *);
    int (*reg_read)(void *, int, void *);
    write_register *reg_write;
    uint32_t (*load)(uint32_t address, uint32_t size);
    void (*store)(uint32_t address, uint32_t size, uint32_t value);
    void (*grow)(void);
    void (*worn)(uint32_t address);
} hot;

static inline int is_wide(uint16_t halfword) { return halfword >= 0xE800; }

static int in_ram(const hot *h, uint32_t address) { return address - h->ram_base < h->ram_size; }

static const uint16_t *code_at(const hot *h, uint32_t address) {
    if (in_ram(h, address))
        return (const uint16_t *)(h->ram + (address - h->ram_base));
    for (uint32_t i = 0; i < h->arrays; i++)
        if (address - h->array[i].base < h->array[i].size)
            return (const uint16_t *)(h->array[i].memory + (address - h->array[i].base));
    return 0;
}

static uint32_t count(const uint16_t *code, uint32_t bytes) {
    uint32_t n = 0, i = 0;
    for (uint32_t words = bytes / 2; i < words; n++)
        i += 1 + is_wide(code[i]);
    return n;
}

/*
 * Before a hook on an access Unicorn sets the IT bits as they are there, for faults. The block that goes on does not
 * take them back, so that the next one would begin in an IT block. Inside a block they are 0.
 */
static void clear_it_bits(void *uc, write_register *reg_write) {
    const uint32_t thumb = 1u << 24;
    reg_write(uc, REG_EPSR, &thumb);
}

static void stop(hot *h, void *uc, uint32_t reason) {
    if (!h->reason)
        h->reason = reason;
    h->emu_stop(uc);
}

static int unmasked(const hot *h, void *uc) {
    uint32_t value = 0;
    h->reg_read(uc, REG_PRIMASK, &value);
    if (value)
        return 0;
    h->reg_read(uc, REG_FAULTMASK, &value);
    if (value)
        return 0;
    h->reg_read(uc, REG_BASEPRI, &value);
    return value == 0 || h->waiting - 1 < (value & h->group_mask);
}

/* A page has been translated, whether or not its code gets to run; what is rewritten already stays so. */
static void mark_run(uint8_t *page) {
    if (*page != REWRITTEN)
        *page = RUN;
}

/* The flash pages in which a block lies. */
static void mark_pages(const hot *h, uint32_t pc, uint32_t size) {
    for (uint32_t i = 0; i < h->arrays; i++) {
        array *a = &h->array[i];
        const uint32_t first = pc - a->base, last = first + (size ? size - 1 : 0);
        if (first < a->size)
            mark_run(&a->executed[first >> a->page_shift]);
        if (last < a->size) /* the last instruction may lie in two pages */
            mark_run(&a->executed[last >> a->page_shift]);
    }
}

EXPORT void hot_block(void *uc, uint64_t address, uint32_t size, hot *h) {
    const uint32_t pc = (uint32_t)address;
    known_block *known = &h->known[(pc >> 1) & (KNOWN_BLOCKS - 1)];
    const int again = known->pc == pc && known->size == size && known->generation == h->generation;
    if (!again)
        mark_pages(h, pc, size);
    h->block = pc;
    h->block_size = 0; /* nothing of it has run */
    if (h->stop) {
        stop(h, uc, ASKED);
        return;
    }
    if (h->instructions >= h->deadline) {
        stop(h, uc, DEADLINE);
        return;
    }
    if (pc - h->entry < h->entry_size) {
        stop(h, uc, ENTRY);
        return;
    }
    if (h->waiting && unmasked(h, uc)) {
        stop(h, uc, EXCEPTION);
        return;
    }
    if (again) {
        h->block_size = size;
        h->instructions += known->instructions;
        return;
    }
    const uint16_t *code = code_at(h, pc);
    if (!code)
        return;
    if (size == 2 && code[0] == BRANCH_TO_SELF) {
        stop(h, uc, SPIN);
        return;
    }
    uint32_t n = 0, i = 0, events = 0;
    for (const uint32_t words = size / 2; i < words; n++) {
        events |= code[i] == SEV;
        i += 1 + is_wide(code[i]);
    }
    h->block_size = size;
    h->instructions += n;
    h->event |= events;
    if (!events && !in_ram(h, pc)) /* code in RAM may change unnoticed */
        *known = (known_block){pc, size, n, h->generation};
}

/* Instructions executed when the one at `pc` is about to end; `block_size` counted all of its block. */
static uint64_t instructions_at(const hot *h, uint32_t pc) {
    const uint32_t end = h->block + h->block_size;
    const uint16_t *code = code_at(h, pc);
    if (!code || pc < h->block || pc >= end)
        return h->instructions;
    return h->instructions - count(code, end - pc) + 1;
}

EXPORT void hot_rewind(hot *h, uint32_t pc) {
    if (pc - h->block < h->block_size)
        h->instructions = instructions_at(h, pc) - 1;
    h->block_size = 0;
}

/* A word for the array; 0 if the part does not take it. The last word of a unit programs all of it. */
static int program(hot *h, void *uc, array *a, uint32_t address, uint32_t value) {
    const uint32_t at = address & (a->unit - 1), start = address - at, offset = start - a->base;
    if (a->held->next != (at ? address : NOTHING_HELD))
        return 0;
    uint32_t *word = (uint32_t *)(a->memory + offset);
    uint64_t previous = word[0], wide = value;
    if (a->unit == 8) {
        a->held->words[at >> 2] = value;
        if (!at) {
            a->held->next = address + 4;
            return 1;
        }
        previous |= (uint64_t)word[1] << 32;
        wide = a->held->words[0] | (uint64_t)value << 32;
    }
    if (a->write_once && wide && previous != (a->unit == 8 ? UINT64_MAX : UINT32_MAX))
        return 0;
    uint32_t pc = 0;
    if (h->recording || h->operations == h->cut)
        h->reg_read(uc, REG_PC, &pc);
    if (h->operations == h->cut) {
        h->cut_address = start;
        h->cut_value = wide;
        h->cut_pc = pc;
        stop(h, uc, CUT);
        return 1;
    }
    a->held->next = NOTHING_HELD;
    const uint64_t after = previous & wide;
    word[0] = (uint32_t)after;
    if (a->unit == 8)
        word[1] = (uint32_t)(after >> 32);
    if (a->write_limit) {
        uint8_t *writes = &a->writes[offset >> 2];
        if (*writes >= a->write_limit)
            h->worn(start);
        else
            ++*writes;
    }
    h->operations++;
    if (h->recording) {
        if (h->used == h->room)
            h->grow();
        record *r = &h->journal[h->used++];
        *r = (record){instructions_at(h, pc), wide, previous, 1, start, a->unit, pc, 0, 0};
    }
    if (!in_ram(h, h->block)) { /* code in RAM runs on while flash is busy */
        h->skipped += *a->stall;
        h->deadline = h->deadline > *a->stall ? h->deadline - *a->stall : 0;
    }
    uint8_t *executed = &a->executed[offset >> a->page_shift];
    if (*executed == RUN && after != previous) {
        *executed = REWRITTEN;
        h->stop = 1;
    }
    return 1;
}

/* A store to memory that the CPU may not write itself: flash, and what stands read-only in the map. */
EXPORT uint8_t hot_store(void *uc, int type, uint64_t where, int size, int64_t wide, hot *h) {
    const uint32_t address = (uint32_t)where, value = (uint32_t)wide;
    (void)type;
    if (size == 4 && !(address & 3)) {
        for (uint32_t i = 0; i < h->arrays; i++) {
            array *a = &h->array[i];
            if (address - a->base < a->size) {
                if ((*a->gate & a->gate_mask) == a->gate_value && program(h, uc, a, address, value)) {
                    clear_it_bits(uc, h->reg_write);
                    return 1;
                }
                break;
            }
        }
    }
    h->store(address, (uint32_t)size, value);
    clear_it_bits(uc, h->reg_write);
    return 1;
}

typedef struct { /* an entry of Unicorn's TLB */
    uint64_t physical;
    uint32_t permissions;
} translation;

/* Devices and the system area (ARMv7-M B3.1). */
static int never_executed(uint32_t address) {
    return address - 0x40000000 < 0x20000000 || address >= 0xA0000000;
}

/*
 * Fills Unicorn's TLB, one to one. Its own way makes all RAM executable, and then it looks for
 * translated code at every store: ten times slower. Here RAM is data until code is fetched from it.
 */
EXPORT uint8_t hot_translate(void *uc, uint64_t address, int access, translation *entry, hot *h) {
    const uint32_t offset = (uint32_t)address - h->ram_base;
    if (access != FETCH)
        clear_it_bits(uc, h->reg_write);
    entry->physical = address;
    entry->permissions = never_executed((uint32_t)address) ? READ | WRITE : READ | WRITE | EXECUTE;
    if (offset < h->ram_size) {
        uint8_t *code = &h->ram_code[offset >> RAM_PAGE_SHIFT];
        if (access == FETCH && !*code) {
            *code = 1;
            h->code_in_ram = NEW;
            h->stop = 1;
        }
        if (!*code)
            entry->permissions = READ | WRITE;
    }
    return 1;
}

typedef struct { /* which words of an array were read */
    uint32_t base, reserved;
    uint8_t *words;
    write_register *reg_write;
} reads;

/* Before each load from an array whose reads somebody wants to know; only then is it installed. */
EXPORT void hot_flash_read(void *uc, int type, uint64_t address, int size, int64_t value, const reads *r) {
    const uint32_t offset = (uint32_t)address - r->base;
    (void)type, (void)value;
    r->words[offset >> 2] = 1;
    r->words[(offset + (uint32_t)size - 1) >> 2] = 1;
    clear_it_bits(uc, r->reg_write);
}

typedef struct { /* what Unicorn gives back with an access to a device region */
    hot *h;
    uint32_t base;
} region;

/* Where a page's registers are described; `_hot_native.py` computes the same. */
static inline uint32_t slot_of(uint32_t address) {
    const uint32_t page = address >> 12;
    return (page + (page >> 10)) % DEVICE_SLOTS;
}

static inline int marked(const uint32_t *bits, uint32_t word) { return bits[word >> 5] >> (word & 31) & 1; }

EXPORT uint64_t hot_device_load(void *uc, uint64_t offset, unsigned size, region *r) {
    const uint32_t address = r->base + (uint32_t)offset, word = (address & 0xFFF) >> 2;
    const device_page *p = &r->h->devices[slot_of(address)];
    (void)uc;
    if (p->page != address >> 12 || !marked(p->quiet, word) || (address & 3) + size > 4)
        return r->h->load(address, size);
    const uint32_t value = p->words[word] >> 8 * (address & 3);
    return size == 4 ? value : value & ((1u << 8 * size) - 1);
}

EXPORT void hot_device_store(void *uc, uint64_t offset, unsigned size, uint64_t wide, region *r) {
    const uint32_t address = r->base + (uint32_t)offset, word = (address & 0xFFF) >> 2;
    const device_page *p = &r->h->devices[slot_of(address)];
    (void)uc;
    if (p->page == address >> 12 && marked(p->plain, word) && size == 4 && !(address & 3))
        p->words[word] = (uint32_t)wide;
    else
        r->h->store(address, size, (uint32_t)wide);
}

EXPORT uint32_t hot_size(void) { return sizeof(hot); }
