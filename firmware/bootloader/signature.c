/* RFC 8032, section 5.1.7. The curve is Monocypher's, the hash is ours: Monocypher's own is BLAKE2b. */
#include "signature.h"

#include "board_config.h"
#include "defects.h"
#include "monocypher.h"
#include "port.h"
#include "sha512.h"

enum { STEP = 4096 };

static const uint8_t key[32] = BOOT_PUBLIC_KEY;

void signature_key_hash(uint8_t digest[SHA512_SIZE]) {
    /* RFC 8410: a sequence of the algorithm 1.3.101.112 and a bit string, which is the key */
    static const uint8_t prefix[] = {0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00};
    struct sha512 hash;
    sha512_start(&hash);
    sha512_add(&hash, prefix, sizeof prefix);
    sha512_add(&hash, key, sizeof key);
    sha512_finish(&hash, digest);
}

bool signature_good(const uint8_t signature[SIGNATURE_SIZE], const uint8_t *message, uint32_t size) {
    struct sha512 hash;
    uint8_t digest[SHA512_SIZE], reduced[32];
    sha512_start(&hash);
    sha512_add(&hash, signature, 32);
    sha512_add(&hash, key, sizeof key);
    for (uint32_t at = 0; at < size; at += STEP) {
        port_watchdog_feed();
        sha512_add(&hash, message + at, size - at < STEP ? size - at : STEP);
    }
    sha512_finish(&hash, digest);
    crypto_eddsa_reduce(reduced, digest);
    port_watchdog_feed();
    return DEFECT(signature_not_checked, 0, crypto_eddsa_check_equation(signature, key, reduced)) == 0;
}
