#include "rules.h"

#include "console.h"
#include "defects.h"
#include "endian.h"

enum { DEPENDENCY_SIZE = 12 };

static bool met(unsigned image, const struct tlv *tlv, const struct image *active) {
    if (tlv->size != DEPENDENCY_SIZE || tlv->data[0] >= BOOT_IMAGES) {
        say("image %u: needs what is not there", image);
        return false;
    }
    const struct version needed = {tlv->data[4], tlv->data[5], (uint16_t)get16(tlv->data + 6), get32(tlv->data + 8)};
    const unsigned other = tlv->data[0];
    const int order = version_compare(&active[other].version, &needed);
    if (DEFECT(equal_version_not_enough, order > 0, order >= 0))
        return true;
    say("image %u: needs image %u %v, would find %v", image, other, &needed, &active[other].version);
    return false;
}

bool dependencies_met(unsigned image, const struct image *own, const struct image *active) {
    struct tlv_walk walk;
    struct tlv tlv;
    enum tlv_result result = TLV_BROKEN;
    if (!tlv_begin(&walk, own)) {
        say("image %u: nothing says what it needs", image);
        return false;
    }
    while ((result = tlv_next(&walk, &tlv)) == TLV_FOUND && tlv.is_protected)
        if (tlv.type == TLV_DEPENDENCY && !met(image, &tlv, active))
            return DEFECT(ignore_unmet_dependency, true, false);
    return result != TLV_BROKEN;
}

bool is_downgrade(const struct image *current, const struct image *newer) {
#if BOOT_DOWNGRADE_COUNTER && !defined(BOOT_MODE_OVERWRITE_ONLY) && !defined(BOOT_MODE_OVERWRITE_ONLY_FAST)
    uint32_t ours, theirs;
    if (!image_counter(current, &ours))
        return false;
    return !image_counter(newer, &theirs) || theirs < ours;
#elif BOOT_DOWNGRADE_VERSION || BOOT_DOWNGRADE_COUNTER
    return version_compare(&newer->version, &current->version) < 0;
#else
    return (void)current, (void)newer, false;
#endif
}
