#include "console.h"

#include "after_boot.h"
#include "behaviour.h"
#include "bytes.h"
#include "coap.h"
#include "fault.h"
#include "health.h"
#include "link.h"
#include "model.h"
#include "platform.h"
#include "record.h"
#include "slots.h"
#include "smp.h"
#include "trailer.h"

enum { LINE_MAX = 120, WORDS_MAX = 4, TEXT_MAX = 200 };

static struct {
    char line[LINE_MAX + 1];
    size_t size;
    bool useless; /* too long, or not text: noise, not a command */
} input;

void console_print(const char *text) { link_print(text, text_length(text)); }

/* --- output --- */

static char buffer[TEXT_MAX];
static struct text out = {.data = buffer, .capacity = sizeof buffer};

static void end_line(void) {
    text_add(&out, "\n");
    link_print(out.data, out.size);
    out.size = 0;
    out.overflow = false;
}

static void say(const char *text) { text_add(&out, text); }

static void say_number(const char *name, uint32_t number) {
    say(name);
    text_add_number(&out, number);
}

static const char *const flag_names[] = {"unset", "set", "bad"};
static const char *const magic_names[] = {"unset", "good", "bad"};

static void say_slot(unsigned component, const char *name, struct area slot) {
    const struct trailer trailer = trailer_read(slot);
    struct image image;
    say(component_name(component));
    say(name);
    if (slot_open(component, slot, &image)) {
        text_add_version(&out, image.version);
        say_number(" size ", image.size);
    } else {
        say("empty");
    }
    say(" magic ");
    say(magic_names[trailer.magic]);
    say(" image_ok ");
    say(flag_names[trailer.image_ok]);
    say(" copy_done ");
    say(flag_names[trailer.copy_done]);
    say(" swap_info ");
    text_add_hex(&out, trailer.swap_info, 2);
    end_line();
}

/* --- commands: they return what is wrong, NULL if nothing is --- */

typedef const char *command(char *const words[], unsigned count);

static const char *do_slots(char *const words[], unsigned count) {
    (void)words, (void)count;
    for (unsigned i = 0; i < COMPONENTS; i++) {
        say_slot(i, " primary ", slot_primary(i));
        say_slot(i, " secondary ", slot_secondary(i));
    }
    return NULL;
}

static const char *do_version(char *const words[], unsigned count) {
    (void)words, (void)count;
    say("board " BOARD_NAME " behaviour ");
    say(behaviour_name());
    end_line();
    for (unsigned i = 0; i < COMPONENTS; i++) {
        struct image image;
        struct model model;
        say(component_name(i));
        say(" ");
        if (!image_header(&image, flash_at(image_in_use(i)), slot_in_use(i).size)) {
            say("none");
        } else {
            text_add_version(&out, image.version);
            if (i && image_open(&image, image_in_use(i), slot_in_use(i).size) && model_open(&model, &image)) {
                say(" content ");
                text_add_hex(&out, model.checksum, 8);
            }
        }
        end_line();
    }
    return NULL;
}

/* A component by its name or number. */
static const char *find_component(const char *word, unsigned *component) {
    uint32_t number;
    for (*component = 0; *component < COMPONENTS; ++*component)
        if (text_is(word, component_name(*component)))
            return NULL;
    if (!number_from_text(word, text_length(word), COMPONENTS - 1, &number))
        return "no such component";
    *component = number;
    return NULL;
}

static const char *do_pending(char *const words[], unsigned count) {
    unsigned component;
    const bool permanent = count == 3 && text_is(words[2], "permanent");
    if (count < 2 || (count == 3 && !permanent))
        return "pending <component> [permanent]";
    const char *problem = find_component(words[1], &component);
    if (problem)
        return problem;
    return trailer_set_pending(component, permanent) ? NULL : "the trailer does not take it";
}

static const char *do_confirm(char *const words[], unsigned count) {
    unsigned component;
    if (count != 2)
        return "confirm <component>";
    const char *problem = find_component(words[1], &component);
    if (problem)
        return problem;
    return after_boot_confirm(component) ? NULL : "the trailer does not take it";
}

static const char *do_reset(char *const words[], unsigned count) {
    (void)words, (void)count;
    console_print("ok\n");
    platform_restart();
}

static const char *do_fault(char *const words[], unsigned count) {
    fault_action *action = count == 2 ? fault_by_name(words[1]) : NULL;
    if (!action)
        return "fault hang|crash|hardfault|stack";
    console_print("ok\n");
    action();
    return "still alive";
}

static const char *do_echo(char *const words[], unsigned count) {
    for (unsigned i = 1; i < count; i++) {
        say(i > 1 ? " " : "");
        say(words[i]);
    }
    end_line();
    return NULL;
}

static const char *do_stats(char *const words[], unsigned count) {
    (void)words, (void)count;
    const struct slipmux *line = link_state();
    const struct coap_counts *coap = coap_counts();
    say_number("line: frames ", line->counts.frames);
    say_number(" sent ", link_sent());
    say_number(" checksum ", line->counts.checksum);
    say_number(" escape ", line->counts.escape);
    say_number(" aborted ", line->counts.aborted);
    say_number(" oversized ", line->counts.oversized);
    say_number(" short ", line->counts.short_ones);
    say_number(" overruns ", link_overruns());
    end_line();
    say_number("coap: requests ", coap->requests);
    say_number(" answers ", coap->answers);
    say_number(" malformed ", coap->malformed);
    say_number(" duplicates ", coap->duplicates);
    say_number(" repeated ", coap->repeated);
    say_number(" timed_out ", coap->timed_out);
    say_number(" resets ", coap->resets);
    end_line();
    say_number("smp: requests ", smp_counts()->requests);
    say_number(" refused ", smp_counts()->refused);
    say_number(" malformed ", link_smp_state()->counts.malformed + smp_counts()->malformed);
    say_number(" checksum ", link_smp_state()->counts.checksum);
    say_number(" oversized ", link_smp_state()->counts.oversized);
    end_line();
    say_number("storage: records ", record_sequence());
    end_line();
    return NULL;
}

static const char *do_help(char *const words[], unsigned count) {
    (void)words, (void)count;
    console_print("version | slots | stats | echo <text> | reset\n"
                  "pending <component> [permanent] | confirm <component>\n"
                  "fault hang|crash|hardfault|stack\n");
    return NULL;
}

static const struct {
    const char *name;
    command *run;
} commands[] = {{"version", do_version}, {"slots", do_slots}, {"pending", do_pending}, {"confirm", do_confirm},
                {"reset", do_reset},     {"fault", do_fault}, {"help", do_help},       {"echo", do_echo},
                {"stats", do_stats}};

/* --- input --- */

static unsigned split(char *line, char *words[WORDS_MAX]) {
    unsigned count = 0;
    for (char *at = line; *at && count < WORDS_MAX;) {
        while (*at == ' ')
            *at++ = 0;
        if (!*at)
            break;
        words[count++] = at;
        if (count == WORDS_MAX)
            break; /* the last one keeps its blanks */
        while (*at && *at != ' ')
            at++;
    }
    return count;
}

static const char *run(char *line) {
    char *words[WORDS_MAX];
    const unsigned count = split(line, words);
    if (!count)
        return NULL;
    for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++)
        if (text_is(words[0], commands[i].name))
            return commands[i].run(words, count);
    return "no such command; help lists them";
}

void console_forget_line(void) {
    input.size = 0;
    input.useless = false;
}

void console_end_line(void) {
    if (input.size && !input.useless) {
        input.line[input.size] = 0;
        const char *problem = run(input.line);
        if (problem) {
            say("error: ");
            say(problem);
        } else {
            say("ok");
        }
        end_line();
    }
    console_forget_line();
}

void console_receive(uint8_t byte) {
    if (byte == '\r' || byte == '\n') {
        console_end_line();
        return;
    }
    if (byte < ' ' || byte > '~' || input.size == LINE_MAX)
        input.useless = true;
    else
        input.line[input.size++] = (char)byte;
}
