/* Whether versions fit: dependencies between images, and no way back to older ones. */
#ifndef RULES_H
#define RULES_H

#include "image.h"

/*
 * Whether all dependencies of image number `image` are met. They are read from `own`; `active` are the
 * images that will be in use, by number. Images that cannot be searched depend on something unknown.
 */
bool dependencies_met(unsigned image, const struct image *own, const struct image *active);

/*
 * Whether `newer` must not replace `current`: the options BOOT_DOWNGRADE_VERSION and BOOT_DOWNGRADE_COUNTER. Where
 * images are copied over the old ones the version decides with either of them.
 */
bool is_downgrade(const struct image *current, const struct image *newer);

#endif
