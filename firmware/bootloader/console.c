#include "console.h"

#include <stdarg.h>

#include "port.h"

struct line {
    uint8_t text[128];
    size_t used;
};

static void add_character(struct line *line, char character) {
    if (line->used < sizeof line->text)
        line->text[line->used++] = (uint8_t)character;
}

static void add_text(struct line *line, const char *text) {
    while (*text)
        add_character(line, *text++);
}

static void add_number(struct line *line, uint32_t number, uint32_t base) {
    char digits[10];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    while (count)
        add_character(line, digits[--count]);
}

static void add_version(struct line *line, const struct version *version) {
    add_number(line, version->major, 10);
    add_character(line, '.');
    add_number(line, version->minor, 10);
    add_character(line, '.');
    add_number(line, version->revision, 10);
    if (version->build) {
        add_character(line, '+');
        add_number(line, version->build, 10);
    }
}

static void say_arguments(const char *format, va_list arguments) {
    struct line line = {.used = 0};
    add_text(&line, "boot: ");
    for (; *format; format++) {
        if (*format != '%')
            add_character(&line, *format);
        else if (*++format == 's')
            add_text(&line, va_arg(arguments, const char *));
        else if (*format == 'v')
            add_version(&line, va_arg(arguments, const struct version *));
        else
            add_number(&line, va_arg(arguments, unsigned), *format == 'x' ? 16 : 10);
    }
    add_text(&line, "\r\n");
    port_write(line.text, line.used);
}

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_arguments(format, arguments);
    va_end(arguments);
}

/*
 * No interrupt is enabled here, so the sleep has no end of its own. A watchdog that a soft reset
 * has left running ends it, and the bootloader looks again whether there is something to boot.
 */
void stop(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_arguments(format, arguments);
    va_end(arguments);
    for (;;) {
        port_watchdog_feed();
        port_sleep();
    }
}
