/* Header and groups of SMP, and the group "os". */
#include "smp.h"

#include "bytes.h"
#include "smp_frame.h"

enum { HEADER_SIZE = 8, OP_BITS = 7, ANSWER = 1, VERSION_SHIFT = 3, VERSION_BITS = 3, VERSION_2 = 1 };
enum { GROUP_OS = 0, OS_ECHO = 0, OS_RESET = 5, OS_PARAMETERS = 6, UNKNOWN = 1, CHECKSUM_AND_SIZE = 4 };

static struct smp_counts counts;

const struct smp_counts *smp_counts(void) { return &counts; }

void smp_answer_key(struct smp_answer *answer, const char *key) {
    answer->pairs++;
    cbor_put_key(&answer->body, key);
}

bool smp_has(const struct cbor_map *request, const char *key) { return cbor_find(request, key) != NULL; }

bool smp_number(const struct cbor_map *request, const char *key, uint32_t *number) {
    const struct cbor_item *item = cbor_find(request, key);
    if (!item)
        return true;
    *number = (uint32_t)item->number;
    return item->kind == CBOR_UNSIGNED && item->number <= UINT32_MAX;
}

bool smp_flag(const struct cbor_map *request, const char *key, bool *flag) {
    const struct cbor_item *item = cbor_find(request, key);
    if (!item)
        return true;
    *flag = item->number == CBOR_TRUE;
    return item->kind == CBOR_SIMPLE && (item->number == CBOR_TRUE || item->number == CBOR_FALSE);
}

bool smp_bytes(const struct cbor_map *request, const char *key, const uint8_t **data, size_t *size) {
    const struct cbor_item *item = cbor_find(request, key);
    if (!item)
        return true;
    *data = item->data;
    *size = (size_t)item->number;
    return item->kind == CBOR_BYTES;
}

/* --- group os --- */

static unsigned echo(const struct cbor_map *request, struct smp_answer *answer) {
    const struct cbor_item *text = cbor_find(request, "d");
    if (!text || text->kind != CBOR_TEXT)
        return SMP_INVALID;
    smp_answer_key(answer, "r");
    cbor_put_text(&answer->body, (const char *)text->data, (size_t)text->number);
    return SMP_OK;
}

static unsigned os(unsigned op, unsigned command, const struct cbor_map *request, struct smp_answer *answer) {
    if (command == OS_ECHO && op == SMP_WRITE)
        return echo(request, answer);
    if (command == OS_RESET && op == SMP_WRITE) {
        uint32_t mode = SMP_BOOT_NORMAL;
        if (!smp_number(request, "boot_mode", &mode) || mode > SMP_BOOT_RECOVERY)
            return SMP_INVALID;
        return smp_restart(mode == SMP_BOOT_RECOVERY);
    }
    if (command == OS_PARAMETERS && op == SMP_READ) {
        smp_answer_key(answer, "buf_size");
        cbor_put_number(&answer->body, SMP_BUFFER);
        smp_answer_key(answer, "buf_count");
        cbor_put_number(&answer->body, 1);
        return SMP_OK;
    }
    return SMP_NOT_SUPPORTED;
}

/* --- messages --- */

static unsigned dispatch(unsigned op, unsigned group, unsigned command, const struct cbor_map *request,
                         struct smp_answer *answer) {
    if (group == GROUP_OS)
        return os(op, command, request, answer);
    return group == SMP_GROUP_IMAGES ? smp_image(op, command, request, answer) : SMP_NOT_SUPPORTED;
}

/* Version 1 knows no results of groups; what is wrong with an image is then an unknown error. */
static void put_error(struct smp_answer *answer, unsigned group, unsigned result, bool version_2) {
    answer->body.size = 1;
    answer->body.overflow = false;
    answer->pairs = 0;
    const bool of_group = result & SMP_OF_GROUP;
    if (of_group && version_2) {
        smp_answer_key(answer, "err");
        const size_t error = cbor_open(&answer->body);
        cbor_put_key(&answer->body, "group");
        cbor_put_number(&answer->body, group);
        cbor_put_key(&answer->body, "rc");
        cbor_put_number(&answer->body, result & ~(unsigned)SMP_OF_GROUP);
        cbor_close(&answer->body, error, CBOR_MAP, 2);
    } else {
        smp_answer_key(answer, "rc");
        cbor_put_number(&answer->body, of_group ? UNKNOWN : result);
    }
}

static unsigned get16_big(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

void smp_receive(const uint8_t *message, size_t size) {
    static uint8_t answer_message[SMP_BUFFER - CHECKSUM_AND_SIZE];
    static struct cbor_map request;
    const unsigned op = message[0] & OP_BITS, version = message[0] >> VERSION_SHIFT & VERSION_BITS;
    if (size < HEADER_SIZE || size != HEADER_SIZE + get16_big(message + 2) || (op != SMP_READ && op != SMP_WRITE)) {
        counts.malformed++; /* not even the header of an answer could be made of this */
        return;
    }
    counts.requests++;
    const unsigned group = get16_big(message + 4), command = message[7];
    struct smp_answer answer = {
        .body = {.data = answer_message + HEADER_SIZE, .capacity = sizeof answer_message - HEADER_SIZE}};
    const size_t all = cbor_open(&answer.body);
    unsigned result = cbor_read_map(&request, message + HEADER_SIZE, size - HEADER_SIZE)
                          ? dispatch(op, group, command, &request, &answer)
                          : SMP_INVALID;
    if (!result && answer.body.overflow)
        result = SMP_TOO_LARGE;
    if (result) {
        counts.refused++;
        put_error(&answer, group, result, version >= VERSION_2);
    }
    cbor_close(&answer.body, all, CBOR_MAP, answer.pairs);
    memcpy(answer_message, message, HEADER_SIZE);
    answer_message[0] = (uint8_t)((version < VERSION_2 ? version : VERSION_2) << VERSION_SHIFT | (op | ANSWER));
    answer_message[1] = 0;
    answer_message[2] = (uint8_t)(answer.body.size >> 8);
    answer_message[3] = (uint8_t)answer.body.size;
    smp_send(answer_message, HEADER_SIZE + answer.body.size);
}
