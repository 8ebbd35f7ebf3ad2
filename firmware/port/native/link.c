/*
 * CoAP in datagrams to and from one server, SMP in datagrams from anybody on this machine; the console is
 * standard input and output.
 */
#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coap.h"
#include "console.h"
#include "native.h"
#include "platform.h"
#include "smp.h"

enum { INPUT = 0, OUTPUT = 1 };

static struct slipmux line; /* for its counts: there is no line */
static uint32_t sent;
static int peer = -1, smp = -1;
static struct sockaddr_storage smp_client;
static socklen_t smp_client_size;
static struct smp_frames smp_lines; /* for its counts: there are no lines */
static bool input_open = true;

static struct addrinfo *find(const char *uri) {
    static const char scheme[] = "coap://";
    char host[64], *port;
    if (strncmp(uri, scheme, sizeof scheme - 1) || strlen(uri) >= sizeof host)
        native_fail("%s is no URI such as coap://127.0.0.1:5683", uri);
    strcpy(host, uri + sizeof scheme - 1);
    port = strrchr(host, ':');
    if (port && strchr(port, ']'))
        port = NULL;
    if (port)
        *port++ = 0;
    char *name = host;
    if (*name == '[') {
        name[strlen(name) - 1] = 0;
        name++;
    }
    const struct addrinfo wanted = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    if (getaddrinfo(name, port ? port : "5683", &wanted, &found))
        native_fail("%s names no numeric address and port", uri);
    return found;
}

static void bind_port(int family) {
    struct sockaddr_storage own = {.ss_family = (sa_family_t)family};
    const socklen_t size = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (family == AF_INET6)
        ((struct sockaddr_in6 *)&own)->sin6_port = htons(native.port);
    else
        ((struct sockaddr_in *)&own)->sin_port = htons(native.port);
    if (bind(peer, (struct sockaddr *)&own, size))
        native_fail("cannot use the UDP port %u", native.port);
}

static void open_smp(void) {
    const struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(native.smp_port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    smp = socket(AF_INET, SOCK_DGRAM, 0);
    if (smp < 0 || bind(smp, (const struct sockaddr *)&own, sizeof own))
        native_fail("cannot use the UDP port %u", native.smp_port);
    if (fcntl(smp, F_SETFL, O_NONBLOCK) || fcntl(smp, F_SETFD, FD_CLOEXEC))
        native_fail("cannot set up the socket");
}

void native_open_link(void) {
    struct addrinfo *server = find(native.server);
    peer = socket(server->ai_family, SOCK_DGRAM, 0);
    if (peer < 0)
        native_fail("cannot open a socket");
    bind_port(server->ai_family);
    if (connect(peer, server->ai_addr, server->ai_addrlen))
        native_fail("cannot reach %s", native.server);
    if (fcntl(peer, F_SETFL, O_NONBLOCK) || fcntl(peer, F_SETFD, FD_CLOEXEC))
        native_fail("cannot set up the socket");
    freeaddrinfo(server);
    if (native.smp_port)
        open_smp();
}

void smp_send(const uint8_t *message, size_t size) {
    while (sendto(smp, message, size, 0, (struct sockaddr *)&smp_client, smp_client_size) < 0 && errno == EINTR) {}
}

const struct smp_frames *link_smp_state(void) { return &smp_lines; }

static bool poll_smp(void) {
    uint8_t message[SMP_BUFFER];
    smp_client_size = sizeof smp_client;
    const ssize_t size =
        smp < 0 ? -1 : recvfrom(smp, message, sizeof message, 0, (struct sockaddr *)&smp_client, &smp_client_size);
    if (size >= 0)
        smp_receive(message, (size_t)size);
    return size >= 0;
}

void link_send(const uint8_t *message, size_t size) {
    sent++;
    while (send(peer, message, size, 0) < 0 && errno == EINTR) {}
}

void link_print(const char *text, size_t size) {
    fwrite(text, 1, size, stdout);
    fflush(stdout);
}

static void read_console(void) {
    uint8_t text[256];
    struct pollfd ready = {.fd = INPUT, .events = POLLIN};
    if (!input_open || poll(&ready, 1, 0) <= 0)
        return;
    const ssize_t size = read(INPUT, text, sizeof text);
    input_open = size > 0;
    for (ssize_t i = 0; i < size; i++)
        console_receive(text[i]);
}

bool link_poll(void) {
    uint8_t message[MESSAGE_MAX + 1];
    read_console();
    const ssize_t size = recv(peer, message, sizeof message, 0);
    if (size < 0)
        return poll_smp(); /* nothing there, or a refusal of a server that is away for a moment */
    if (size > MESSAGE_MAX)
        line.counts.oversized++;
    else {
        line.counts.frames++;
        coap_receive(message, (size_t)size);
    }
    return true;
}

bool native_wait(int milliseconds) {
    struct pollfd ready[] = {
        {.fd = peer, .events = POLLIN}, {.fd = smp, .events = POLLIN}, {.fd = input_open ? INPUT : -1, .events = POLLIN}};
    return poll(ready, sizeof ready / sizeof *ready, milliseconds) > 0;
}

const struct slipmux *link_state(void) { return &line; }

uint32_t link_sent(void) { return sent; }

uint32_t link_overruns(void) { return 0; }
