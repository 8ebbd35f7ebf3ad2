#include "coap_memory.h"

#include <stdbool.h>

#include "bytes.h"
#include "defects.h"

/* What changes state is answered in a few bytes; only reads have long answers. */
enum { REQUESTS = 16, ANSWER_MAX = 64, EXCHANGE_LIFETIME_MS = 247000 };

static struct {
    bool used;
    uint16_t id;
    uint32_t fingerprint, at;
    size_t size;
    uint8_t answer[ANSWER_MAX];
} requests[REQUESTS];
static unsigned next, current;

enum coap_familiarity coap_remember(uint16_t id, uint32_t fingerprint, uint32_t now, const uint8_t **answer, size_t *size) {
    *size = 0;
    for (unsigned i = 0; i < REQUESTS; i++) {
        if (!requests[i].used || requests[i].id != id || requests[i].fingerprint != fingerprint ||
            now - requests[i].at > EXCHANGE_LIFETIME_MS)
            continue;
        if (DEFECT(no_deduplication, true, false))
            break;
        *answer = requests[i].answer;
        *size = requests[i].size;
        current = i;
        return COAP_DUPLICATE;
    }
    current = next;
    next = (next + 1) % REQUESTS;
    requests[current].used = true;
    requests[current].id = id;
    requests[current].fingerprint = fingerprint;
    requests[current].at = now;
    requests[current].size = 0;
    return COAP_FIRST;
}

void coap_remember_answer(const uint8_t *answer, size_t size) {
    if (size > ANSWER_MAX)
        return;
    memcpy(requests[current].answer, answer, size);
    requests[current].size = size;
}
