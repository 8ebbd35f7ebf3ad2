/* Ed25519 signatures by the key in board_config.h. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include <stdbool.h>
#include <stdint.h>

enum { SIGNATURE_SIZE = 64 };

/* SHA-512 of the key as DER SubjectPublicKeyInfo. */
void signature_key_hash(uint8_t digest[64]);

bool signature_good(const uint8_t signature[SIGNATURE_SIZE], const uint8_t *message, uint32_t size);

#endif
