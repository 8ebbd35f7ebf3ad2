/* Text for and from people. Programs decide by flash contents and by LwM2M. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

/* Print zero-terminated text; lines end in \n. */
void console_print(const char *text);

/* Input, byte by byte; a line is a command. */
void console_receive(uint8_t byte);

/* The rest of a line is not coming; `run` tells whether what is there counts as one. */
void console_end_line(void);
void console_forget_line(void);

#endif
