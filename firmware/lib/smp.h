/* The Simple Management Protocol of MCUmgr (Zephyr documentation, "SMP Protocol Specification"), versions 1 and 2. */
#ifndef SMP_H
#define SMP_H

#include "cbor.h"

/* Results that every group knows (MGMT_ERR of the specification). */
enum smp_result {
    SMP_OK = 0,
    SMP_NO_MEMORY = 2,
    SMP_INVALID = 3,
    SMP_BAD_STATE = 6,
    SMP_TOO_LARGE = 7,
    SMP_NOT_SUPPORTED = 8,
    SMP_BUSY = 10,
};

/* Results of a group of its own (IMG_MGMT_ERR for images) are told from these by this bit. */
enum { SMP_OF_GROUP = 0x100, SMP_GROUP_IMAGES = 1, SMP_READ = 0, SMP_WRITE = 2 };

/* "boot_mode" of a reset. */
enum { SMP_BOOT_NORMAL = 0, SMP_BOOT_RECOVERY = 1 };

struct smp_answer {
    struct cbor_writer body;
    unsigned pairs;
};

/* The key of another pair; its value has to follow. */
void smp_answer_key(struct smp_answer *answer, const char *key);

/* Fields of a request. The first is false if it is not there, the others keep the default then; false if it is no such value. */
bool smp_has(const struct cbor_map *request, const char *key);
bool smp_number(const struct cbor_map *request, const char *key, uint32_t *number);
bool smp_flag(const struct cbor_map *request, const char *key, bool *flag);
bool smp_bytes(const struct cbor_map *request, const char *key, const uint8_t **data, size_t *size);

/* Take one message, and answer it with smp_send(). */
void smp_receive(const uint8_t *message, size_t size);

/* What the program has to provide: */

/* The group of images. */
unsigned smp_image(unsigned op, unsigned command, const struct cbor_map *request, struct smp_answer *answer);

/* Restart once this was answered, into the boot loader's serial recovery if that is wanted. */
unsigned smp_restart(bool into_recovery);

/* Send one message to whoever asked last. */
void smp_send(const uint8_t *message, size_t size);

struct smp_counts {
    uint32_t requests, malformed, refused;
};
const struct smp_counts *smp_counts(void);

#endif
