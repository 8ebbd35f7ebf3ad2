#include "model.h"

#include "platform.h"

enum { CRC_STEP = 4096 };

bool model_recognised(const struct image *image) {
    return image->payload_size >= MODEL_HEADER_SIZE && equal(image_payload(image), "MODL", 4);
}

bool model_open(struct model *model, const struct image *image) {
    if (!model_recognised(image))
        return false;
    const uint8_t *header = image_payload(image);
    model->size = get32(header + 4);
    if (model->size > image->payload_size - MODEL_HEADER_SIZE)
        return false;
    model->checksum = 0;
    for (uint32_t at = 0; at < model->size; at += CRC_STEP) {
        const uint32_t left = model->size - at;
        model->checksum = crc32(model->checksum, header + MODEL_HEADER_SIZE + at, left < CRC_STEP ? left : CRC_STEP);
        platform_alive();
    }
    return model->checksum == get32(header + 8);
}
