#include "coap.h"

#include "bytes.h"
#include "coap_memory.h"
#include "defects.h"
#include "platform.h"

enum { TOKEN_SIZE = 4 };

/* NSTART is 1: a message waits while another one is not acknowledged (RFC 7252 section 4.7). */
enum state { FREE, WRITING, WAITING, UNACKNOWLEDGED, ACKNOWLEDGED };

static struct exchange {
    enum state state;
    uint16_t id;
    struct coap_token token;
    bool request;
    uint32_t due, timeout;
    unsigned repetitions;
    coap_done *done;
    struct coap_writer writer;
    uint8_t message[MESSAGE_MAX];
} exchanges[COAP_USERS];

static struct coap_counts counts;
static uint16_t next_id;
static uint32_t random_state;

const struct coap_counts *coap_counts(void) { return &counts; }

/* Tokens and the spread of repetitions need variety, not secrecy. */
static uint32_t random_number(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

void coap_start(uint32_t seed) {
    random_state = seed ? seed : 1;
    next_id = (uint16_t)random_number();
}

static bool due(uint32_t now, uint32_t when) { return (int32_t)(now - when) >= 0; }

/* --- messages of our own --- */

bool coap_busy(enum coap_user user) { return exchanges[user].state != FREE; }

void coap_cancel(enum coap_user user) { exchanges[user].state = FREE; }

struct coap_writer *coap_request(enum coap_user user, uint8_t code, const struct coap_token *token) {
    struct exchange *exchange = &exchanges[user];
    exchange->state = WRITING;
    exchange->id = next_id++;
    exchange->request = COAP_CLASS(code) == 0;
    if (token) {
        exchange->token = *token;
    } else {
        const uint32_t fresh = random_number();
        exchange->token.size = TOKEN_SIZE;
        memcpy(exchange->token.bytes, &fresh, TOKEN_SIZE);
    }
    coap_begin(&exchange->writer, exchange->message, sizeof exchange->message, COAP_CON, code, exchange->id,
               &exchange->token);
    return &exchange->writer;
}

void coap_send(enum coap_user user, coap_done *done) {
    exchanges[user].done = done;
    exchanges[user].repetitions = 0;
    exchanges[user].state = WAITING;
}

static void finish(struct exchange *exchange, enum coap_outcome outcome, const struct coap_message *answer) {
    exchange->state = FREE; /* first, for `done` may begin the next one */
    exchange->done(outcome, answer);
}

static void transmit(struct exchange *exchange, uint32_t now) {
    link_send(exchange->message, exchange->writer.size);
    exchange->due = now + exchange->timeout;
    exchange->timeout *= 2;
    exchange->state = UNACKNOWLEDGED;
}

static void poll_exchange(struct exchange *exchange, uint32_t now) {
    if (!due(now, exchange->due))
        return;
    if (exchange->state == UNACKNOWLEDGED && exchange->repetitions < DEFECT(requests_not_repeated, 0, MAX_RETRANSMIT)) {
        exchange->repetitions++;
        counts.repeated++;
        transmit(exchange, now);
        return;
    }
    counts.timed_out++;
    finish(exchange, COAP_TIMED_OUT, NULL);
}

void coap_poll(uint32_t now) {
    bool outstanding = false;
    for (struct exchange *e = exchanges; e < exchanges + COAP_USERS; e++) {
        if (e->state == UNACKNOWLEDGED || e->state == ACKNOWLEDGED)
            poll_exchange(e, now);
        outstanding |= e->state == UNACKNOWLEDGED;
    }
    for (struct exchange *e = exchanges; e < exchanges + COAP_USERS && !outstanding; e++) {
        if (e->state == WAITING) {
            e->timeout = ACK_TIMEOUT_MS + random_number() % (ACK_TIMEOUT_MS / 2 + 1);
            transmit(e, now);
            outstanding = true;
        }
    }
}

/* --- what the peer sends --- */

static void send_empty(enum coap_type type, uint16_t id) {
    uint8_t message[COAP_HEADER];
    struct coap_writer writer;
    coap_begin(&writer, message, sizeof message, type, COAP_EMPTY, id, NULL);
    counts.resets += type == COAP_RST;
    link_send(message, writer.size);
}

static void receive_empty(const struct coap_message *message) {
    if (message->type == COAP_CON) {
        send_empty(COAP_RST, message->id); /* "CoAP ping", section 4.3 */
        return;
    }
    for (struct exchange *e = exchanges; e < exchanges + COAP_USERS; e++) {
        if (e->state != UNACKNOWLEDGED || e->id != message->id)
            continue;
        if (message->type == COAP_RST) {
            finish(e, COAP_RESET, NULL);
        } else if (message->type == COAP_ACK && e->request) {
            e->state = ACKNOWLEDGED;
            e->due = platform_milliseconds() + ANSWER_TIMEOUT_MS;
        } else if (message->type == COAP_ACK) {
            finish(e, COAP_ACKNOWLEDGED, NULL);
        }
        return;
    }
}

static bool has_unknown_critical_option(const struct coap_message *answer) {
    for (struct coap_option option = {0}; coap_next_option(answer, &option);)
        if (coap_option_critical(option.number) && option.number != OPTION_BLOCK1 && option.number != OPTION_BLOCK2)
            return true;
    return false;
}

/* Answers that came in messages of their own: they are repeated if our acknowledgement got lost. */
enum { ACKNOWLEDGED_MAX = 4 };
static uint16_t acknowledged[ACKNOWLEDGED_MAX];
static unsigned acknowledged_next;

static bool was_acknowledged(uint16_t id) {
    for (unsigned i = 0; i < ACKNOWLEDGED_MAX && i < acknowledged_next; i++)
        if (acknowledged[i] == id)
            return true;
    return false;
}

static void receive_answer(const struct coap_message *answer) {
    for (struct exchange *e = exchanges; e < exchanges + COAP_USERS; e++) {
        const bool open = (e->state == UNACKNOWLEDGED && (answer->type != COAP_ACK || e->id == answer->id)) ||
                          (e->state == ACKNOWLEDGED && answer->type != COAP_ACK);
        if (!open || !e->request || !coap_same_token(&e->token, &answer->token))
            continue;
        if (has_unknown_critical_option(answer))
            break;
        if (answer->type == COAP_CON) {
            acknowledged[acknowledged_next++ % ACKNOWLEDGED_MAX] = answer->id;
            send_empty(COAP_ACK, answer->id);
        }
        counts.answers++;
        finish(e, COAP_ANSWERED, answer);
        return;
    }
    if (answer->type == COAP_CON)
        send_empty(was_acknowledged(answer->id) ? COAP_ACK : COAP_RST, answer->id);
}

void coap_add_reply(struct coap_writer *writer, const struct coap_reply *reply) {
    if (reply->etag_size)
        coap_add_option(writer, OPTION_ETAG, reply->etag, reply->etag_size);
    if (reply->observed)
        coap_add_uint(writer, OPTION_OBSERVE, reply->observe);
    if (reply->format != FORMAT_NONE)
        coap_add_uint(writer, OPTION_CONTENT_FORMAT, (uint32_t)reply->format);
    if (reply->block2.present)
        coap_add_uint(writer, OPTION_BLOCK2, block_value(reply->block2));
    if (reply->block1.present)
        coap_add_uint(writer, OPTION_BLOCK1, block_value(reply->block1));
    coap_add_payload(writer, reply->payload, reply->payload_size);
}

static void receive_request(const struct coap_message *request, uint32_t fingerprint) {
    static uint8_t buffer[MESSAGE_MAX];
    const enum coap_type type = request->type == COAP_CON ? COAP_ACK : COAP_NON;
    const uint8_t *known;
    size_t known_size;
    switch (coap_remember(request->id, fingerprint, platform_milliseconds(), &known, &known_size)) {
    case COAP_DUPLICATE:
        counts.duplicates++;
        if (request->type == COAP_CON && known_size)
            link_send(known, known_size);
        if (known_size || request->code != COAP_GET || request->type != COAP_CON)
            return;
        break; /* a long answer is not kept, but reading once more does no harm (section 4.5) */
    case COAP_FIRST:
        break;
    }
    counts.requests++;
    struct coap_reply reply = {.code = COAP_SERVER_ERROR, .format = FORMAT_NONE};
    coap_handle(request, &reply);
    if (reply.code == COAP_BAD_OPTION && type == COAP_NON)
        return; /* section 5.4.1: such a request is answered only if it wants a confirmation */
    struct coap_writer writer;
    const uint16_t id = type == COAP_ACK ? request->id : next_id++;
    coap_begin(&writer, buffer, sizeof buffer, type, reply.code, id, &request->token);
    coap_add_reply(&writer, &reply);
    if (writer.overflow)
        coap_begin(&writer, buffer, sizeof buffer, type, COAP_SERVER_ERROR, id, &request->token);
    coap_remember_answer(buffer, writer.size);
    link_send(buffer, writer.size);
}

void coap_receive(const uint8_t *data, size_t size) {
    struct coap_message message;
    bool id_known;
    const bool good = coap_parse(&message, &id_known, data, size);
    const unsigned class = id_known ? COAP_CLASS(message.code) : 0;
    if (!good || class == 1 || class > 5) {
        counts.malformed++;
        if (id_known && message.type == COAP_CON)
            send_empty(COAP_RST, message.id);
        return;
    }
    if (message.code == COAP_EMPTY)
        receive_empty(&message);
    else if (class != 0)
        receive_answer(&message);
    else if (message.type == COAP_CON || message.type == COAP_NON)
        receive_request(&message, crc32(0, data, size));
}
