/*
 * The application as a program of the host: an LwM2M client on UDP, for tests at speed and against
 * other servers. Flash is a file, a reset is a new start of the program.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

/* app/main.c with its main() under another name */
#include "application_main.h"

struct options native = {.speed = 1};

void native_fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("client: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(2);
}

static uint32_t number(const char *name, const char *text, uint32_t most) {
    char *end;
    const unsigned long value = strtoul(text, &end, 0);
    if (*text < '0' || *text > '9' || *end || value > most)
        native_fail("%s: %s is no number from 0 to %u", name, text, most);
    return (uint32_t)value;
}

static void read_id(const char *text) {
    for (unsigned i = 0; i < sizeof native.id; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            native_fail("--id: %s is not 16 hexadecimal digits", text);
        native.id[sizeof native.id - 1 - i] = (uint8_t)byte;
    }
}

static void read_option(const char *name, const char *value) {
    if (!strcmp(name, "--server"))
        native.server = value;
    else if (!strcmp(name, "--flash"))
        native.flash = value;
    else if (!strcmp(name, "--id"))
        read_id(value);
    else if (!strcmp(name, "--speed"))
        native.speed = number(name, value, 10000);
    else if (!strcmp(name, "--port"))
        native.port = (uint16_t)number(name, value, UINT16_MAX);
    else if (!strcmp(name, "--smp-port"))
        native.smp_port = (uint16_t)number(name, value, UINT16_MAX);
    else if (!strcmp(name, "--cause"))
        native.cause = number(name, value, UINT8_MAX);
    else
        native_fail("unknown option %s", name);
}

int main(int count, char **arguments) {
    native.arguments = arguments;
    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count)
            native_fail("%s needs a value", arguments[i]);
        read_option(arguments[i], arguments[i + 1]);
    }
    if (!native.server || !native.flash || !native.speed)
        native_fail("usage: client --server coap://ADDRESS:PORT --flash FILE [--id HEX] [--speed N] [--port N]");
    native_open_flash();
    native_boot();
    native_open_link();
    return application_main();
}
