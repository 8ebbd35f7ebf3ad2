/* LwM2M operations on objects (OMA-TS-LightweightM2M_Core-V1_1 section 6.3), by CoAP method (transport section 6.4.3). */
#include "assembly.h"
#include "bytes.h"
#include "coap.h"
#include "objects.h"
#include "observe.h"
#include "push.h"
#include "represent.h"

enum { OBSERVE_START = 0, OBSERVE_END = 1, OBSERVE_NONE = -1 };

struct request {
    const struct coap_message *message;
    struct path path;
    bool path_known; /* all segments are ids */
    bool has_query;
    int32_t accept, format, observe;
    struct block block1, block2;
};

static uint8_t read_path_segment(struct request *request, const struct coap_option *option) {
    uint32_t id;
    if (request->path.depth == PATH_DEPTH || !number_from_text((const char *)option->value, option->size, UINT16_MAX, &id))
        request->path_known = false;
    else
        request->path.ids[request->path.depth++] = (uint16_t)id;
    return 0;
}

static uint8_t read_format(int32_t *format, const struct coap_option *option) {
    uint32_t number;
    if (!coap_option_uint(option, 2, &number))
        return COAP_BAD_OPTION;
    *format = (int32_t)number;
    return 0;
}

/* Returns 0, or the code to refuse the request with. */
static uint8_t read_option(struct request *request, const struct coap_option *option) {
    uint32_t number;
    switch (option->number) {
    case OPTION_URI_PATH:
        return read_path_segment(request, option);
    case OPTION_CONTENT_FORMAT:
        return read_format(&request->format, option);
    case OPTION_ACCEPT:
        return request->accept == FORMAT_NONE ? read_format(&request->accept, option) : COAP_BAD_OPTION;
    case OPTION_BLOCK1:
        return request->block1.present ? COAP_BAD_OPTION : block_from_option(&request->block1, option);
    case OPTION_BLOCK2:
        return request->block2.present ? COAP_BAD_OPTION : block_from_option(&request->block2, option);
    case OPTION_OBSERVE: /* elective: a value that makes no sense is as good as none */
        if (coap_option_uint(option, 3, &number))
            request->observe = (int32_t)number;
        return 0;
    case OPTION_URI_QUERY:
        request->has_query = true;
        return 0;
    case OPTION_URI_HOST: /* there is one host here, whatever it is called */
    case OPTION_URI_PORT:
        return 0;
    case OPTION_PROXY_URI:
    case OPTION_PROXY_SCHEME:
        return COAP_PROXYING_NOT_SUPPORTED;
    default:
        return coap_option_critical(option->number) ? COAP_BAD_OPTION : 0;
    }
}

static uint8_t read_options(struct request *request) {
    for (struct coap_option option = {0}; coap_next_option(request->message, &option);) {
        const uint8_t refusal = read_option(request, &option);
        if (refusal)
            return refusal;
    }
    return 0;
}

static uint8_t do_read(const struct request *request, struct coap_reply *reply) {
    static struct representation representation;
    const uint8_t code = represent(&representation, &request->path, request->accept);
    if (code != COAP_CONTENT)
        return code;
    if (request->observe == OBSERVE_END)
        observe_remove(&request->message->token);
    /* A request for a later block belongs to a notification, and does not observe anew (RFC 7959 section 2.6). */
    if (request->observe == OBSERVE_START && !request->block2.number && representation.format != FORMAT_LINK)
        reply->observed = observe_add(&request->path, &request->message->token, &representation, request->block2,
                                      &reply->observe);
    return reply_with(reply, &representation, request->block2);
}

/* Turn a written text into the value of a resource. */
static uint8_t read_value(struct value *value, const struct resource *resource, const struct body *body) {
    value->text = (const char *)body->data;
    value->size = body->size;
    switch (resource->type) {
    case TYPE_STRING:
        return 0;
    case TYPE_BOOLEAN:
        value->number = body->size && *body->data == '1';
        return body->size == 1 && (*body->data == '0' || *body->data == '1') ? 0 : COAP_BAD_REQUEST;
    default:
        return signed_from_text(value->text, value->size, &value->number) ? 0 : COAP_BAD_REQUEST;
    }
}

static uint8_t do_write(const struct request *request, struct coap_reply *reply, const struct place *place) {
    const struct coap_message *message = request->message;
    reply->block1 = request->block1;
    if (place->resource->type == TYPE_OPAQUE) {
        if (request->format != FORMAT_NONE && request->format != FORMAT_OPAQUE && request->format != FORMAT_TEXT)
            return COAP_UNSUPPORTED_FORMAT;
        return push_block(place->instance, request->block1, message->payload, message->payload_size,
                          request->format == FORMAT_TEXT);
    }
    if (request->format != FORMAT_NONE && request->format != FORMAT_TEXT)
        return COAP_UNSUPPORTED_FORMAT;
    struct body body;
    uint8_t code = assembly_add(&body, message->code, &request->path, request->block1, message->payload, message->payload_size);
    if (code)
        return code;
    struct value value;
    code = read_value(&value, place->resource, &body);
    return code ? code : place->object->write(place->instance, place->resource->id, &value);
}

static uint8_t do_execute(const struct request *request, struct coap_reply *reply, const struct place *place) {
    const struct coap_message *message = request->message;
    reply->block1 = request->block1;
    if (request->format != FORMAT_NONE && request->format != FORMAT_TEXT)
        return COAP_UNSUPPORTED_FORMAT;
    struct body body;
    const uint8_t code =
        assembly_add(&body, message->code, &request->path, request->block1, message->payload, message->payload_size);
    return code ? code
                : place->object->execute(place->instance, place->resource->id, (const char *)body.data, body.size);
}

/* Writing to whole instances, creating and deleting them is not for these objects; nor are attributes. */
static uint8_t do_change(const struct request *request, struct coap_reply *reply) {
    struct place place;
    const uint8_t refusal = place_find(&place, &request->path);
    if (refusal)
        return refusal;
    if (request->path.depth != 3)
        return COAP_NOT_ALLOWED;
    if (request->message->code == COAP_PUT && !request->has_query && place.resource->flags & WRITABLE)
        return do_write(request, reply, &place);
    if (request->message->code == COAP_POST && place.resource->flags & EXECUTABLE)
        return do_execute(request, reply, &place);
    return COAP_NOT_ALLOWED;
}

void coap_handle(const struct coap_message *message, struct coap_reply *reply) {
    struct request request = {.message = message,
                              .path_known = true,
                              .accept = FORMAT_NONE,
                              .format = FORMAT_NONE,
                              .observe = OBSERVE_NONE};
    const uint8_t refusal = read_options(&request);
    if (refusal)
        reply->code = refusal;
    else if (!request.path_known)
        reply->code = COAP_NOT_FOUND;
    else if (message->code == COAP_GET)
        reply->code = do_read(&request, reply);
    else
        reply->code = do_change(&request, reply);
}
