#include "observe.h"

#include "bytes.h"

enum { OBSERVATIONS = 16, LARGEST_EXPONENT = 6, NUMBER_MASK = 0xFFFFFF };

static struct observation {
    bool used, checked;
    struct path path;
    struct coap_token token;
    int32_t format;
    struct block block;
    uint32_t number;
    uint32_t shown; /* checksum of what the server was told last */
} observations[OBSERVATIONS];

static bool changed;
static struct observation *notifying;

static uint32_t checksum(const struct representation *representation) {
    return crc32(0, representation->data, representation->size);
}

void observe_changed(void) {
    changed = true;
    for (unsigned i = 0; i < OBSERVATIONS; i++)
        observations[i].checked = false;
}

bool observe_add(const struct path *path, const struct coap_token *token, const struct representation *representation,
                 struct block block, uint32_t *number) {
    observe_remove(token);
    for (struct observation *o = observations; o < observations + OBSERVATIONS; o++) {
        if (o->used)
            continue;
        *o = (struct observation){true, true, *path, *token, representation->format, block, 1, checksum(representation)};
        *number = o->number;
        return true;
    }
    return false;
}

static void end(struct observation *observation) {
    observation->used = false;
    if (observation == notifying) {
        coap_cancel(COAP_NOTIFICATION);
        notifying = NULL;
    }
}

void observe_remove(const struct coap_token *token) {
    for (struct observation *o = observations; o < observations + OBSERVATIONS; o++)
        if (o->used && coap_same_token(&o->token, token))
            end(o);
}

void observe_forget_all(void) {
    for (struct observation *o = observations; o < observations + OBSERVATIONS; o++)
        if (o->used)
            end(o);
}

/* The server said that it does not want to know, or nothing at all: that ends an observation (RFC 7641 section 4.2). */
static void notified(enum coap_outcome outcome, const struct coap_message *answer) {
    (void)answer;
    struct observation *observation = notifying;
    notifying = NULL;
    if (outcome != COAP_ACKNOWLEDGED)
        observation->used = false;
}

static void notify(struct observation *observation, const struct representation *representation) {
    struct coap_reply reply = {.format = FORMAT_NONE, .observed = true};
    observation->number = (observation->number + 1) & NUMBER_MASK;
    observation->shown = checksum(representation);
    reply.observe = observation->number;
    const uint8_t code = reply_with(&reply, representation, observation->block);
    notifying = observation;
    coap_add_reply(coap_request(COAP_NOTIFICATION, code, &observation->token), &reply);
    coap_send(COAP_NOTIFICATION, notified);
}

void observe_poll(void) {
    static struct representation now;
    for (struct observation *o = observations; o < observations + OBSERVATIONS && changed; o++) {
        if (coap_busy(COAP_NOTIFICATION))
            return; /* the rest waits, and sees the newest values then */
        if (!o->used || o->checked)
            continue;
        o->checked = true;
        if (represent(&now, &o->path, o->format) == COAP_CONTENT && checksum(&now) != o->shown)
            notify(o, &now);
    }
    changed = coap_busy(COAP_NOTIFICATION) && changed;
}

/* What does not fit into a block goes out block by block; the tag tells blocks of different contents apart. */
uint8_t reply_with(struct coap_reply *reply, const struct representation *representation, struct block wanted) {
    struct block block = wanted.present ? wanted : (struct block){.size_exponent = LARGEST_EXPONENT};
    const size_t offset = block_offset(block), size = block_size(block);
    if (offset && offset >= representation->size)
        return COAP_BAD_REQUEST;
    const size_t left = representation->size - offset;
    block.more = left > size;
    block.present = wanted.present || block.more;
    reply->format = representation->format;
    reply->payload = representation->data + offset;
    reply->payload_size = block.more ? size : left;
    reply->block2 = block;
    if (block.present) {
        reply->etag_size = 4;
        put32_big(reply->etag, checksum(representation));
    }
    return COAP_CONTENT;
}
