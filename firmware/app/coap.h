/*
 * A CoAP endpoint with one peer (RFC 7252 sections 4 and 5): answers requests, and makes its own
 * ones on a few exchanges, each with one message under way.
 */
#ifndef COAP_H
#define COAP_H

#include "coap_message.h"
#include "config.h"

/* What a request is answered with. Handlers get it with all fields empty but the code 5.00. */
struct coap_reply {
    uint8_t code;
    int32_t format; /* content format, or FORMAT_NONE */
    const uint8_t *payload;
    size_t payload_size;
    bool observed;
    uint32_t observe;
    uint8_t etag_size, etag[ETAG_MAX];
    struct block block1, block2;
};

enum coap_outcome { COAP_ANSWERED, COAP_ACKNOWLEDGED, COAP_RESET, COAP_TIMED_OUT };

/* What runs on an exchange when it ends. `answer` is NULL unless there is one; it lives in the receive buffer. */
typedef void coap_done(enum coap_outcome outcome, const struct coap_message *answer);

/* Who may have a message under way at the same time. */
enum coap_user { COAP_REGISTRATION, COAP_PULL, COAP_NOTIFICATION, COAP_USERS };

void coap_start(uint32_t seed);

/* Take a message from the link. */
void coap_receive(const uint8_t *data, size_t size);

/* Send, repeat and give up what is due. */
void coap_poll(uint32_t now);

bool coap_busy(enum coap_user user);

/*
 * Begin a confirmable message on a user's exchange, which must not be busy. The caller adds
 * options and payload to the writer, and then sends. Requests get a fresh token if none is given.
 */
struct coap_writer *coap_request(enum coap_user user, uint8_t code, const struct coap_token *token);
void coap_send(enum coap_user user, coap_done *done);

/* Forget what is under way; an answer that comes later is refused. */
void coap_cancel(enum coap_user user);

/* Add a reply's options and payload to a message. */
void coap_add_reply(struct coap_writer *writer, const struct coap_reply *reply);

struct coap_counts {
    uint32_t malformed, duplicates, repeated, timed_out, requests, answers, resets;
};
const struct coap_counts *coap_counts(void);

/* Who answers requests: lwm2m.c. */
void coap_handle(const struct coap_message *request, struct coap_reply *reply);

#endif
