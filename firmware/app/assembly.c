#include "assembly.h"

#include "bytes.h"

/* The longest value that can be written is a URI; arguments of Update are shorter. */
enum { BODY_MAX = 512 };

static struct {
    uint8_t method;
    struct path path;
    size_t size;
    uint8_t data[BODY_MAX];
} assembly;

static bool same_path(const struct path *left, const struct path *right) {
    return left->depth == right->depth && equal(left->ids, right->ids, left->depth * sizeof *left->ids);
}

uint8_t assembly_add(struct body *body, uint8_t method, const struct path *path, struct block block, const uint8_t *data,
                     size_t size) {
    if (!block.present || (block.number == 0 && !block.more)) {
        *body = (struct body){data, size};
        return 0;
    }
    if (block.more && size != block_size(block))
        return COAP_BAD_REQUEST;
    if (block.number == 0) {
        assembly.method = method;
        assembly.path = *path;
        assembly.size = 0;
    } else if (assembly.method != method || !same_path(&assembly.path, path) || assembly.size != block_offset(block)) {
        return COAP_INCOMPLETE;
    }
    if (size > sizeof assembly.data - assembly.size)
        return COAP_TOO_LARGE;
    memcpy(assembly.data + assembly.size, data, size);
    assembly.size += size;
    if (block.more)
        return COAP_CONTINUE;
    *body = (struct body){assembly.data, assembly.size};
    assembly.method = 0;
    return 0;
}
