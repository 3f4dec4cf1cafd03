/* The load: all browsers and Tuleap's poster in one process. With the argument "yard" it is the yardstick instead,
   a server that does nothing but send().

   Written to cost little beside the server that it loads. It encodes and signs nothing: Python hands it each message
   of a browser's opening (load.py, which also describes what goes over stdin and stdout). Of what it receives it
   reads the header of each frame, the type of the message and the order number, which stands in the same place of
   every event.

   Browsers speak WAMP, or socket.io as Tuleap's pages do: a session over long-polling that is upgraded to a WebSocket,
   or one that stays with long-polling. Those use the private port, as behind Tuleap's nginx. Browsers of other servers
   speak NATS or MQTT in a WebSocket, and the poster speaks the same without one. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 1, BINARY = 2, PING = 9, PONG = 10 };
enum { UPGRADE, CHALLENGE, WELCOME, SUBSCRIBED, OPEN };
/* Of a page, before OPEN: the answer that comes next. */
enum { HANDSHAKE = OPEN + 1, CONNECT_POSTED, CONNECTED, POSTED, PROBE, CONFIRMATION };
/* The types of MQTT's packets, with their flags. */
enum { CONNACK = 0x20, PUBLISH = 0x30, PUBACK = 0x40, SUBACK = 0x90, REFUSED = 0x80 };
enum { EVENT = 36, ROOM = 100000, ROOM_DIGITS = 6, DIGITS = 10, POSTERS = 64, MOST = 20000, PATIENCE = 10, ALARM = 300 };

/* The example of RFC 6455: a nonce that never changes saves a SHA-1, and the server cannot tell. */
#define NONCE "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/* The protocols of pages (router.py), and their path. */
#define SOCKETIO "socket.io"
#define POLLING "polling"
#define ENGINE "/local-socket.io/?EIO=4&transport="

/* The protocols of other servers (brokers.py). The second is also a WebSocket's subprotocol. */
#define NATS "nats"
#define MQTT "mqtt"
#define NATS_PONG "PONG\r\n"

struct text { char *data; size_t size; };

struct connection {
    int fd, state, board, opcode, is_page;
    size_t (*take)(struct connection *it, const char *data, size_t have); /* gives how much it took; 0: not whole yet */
    int polling;     /* the connection of the GET that is held during an upgrade */
    int confirms;    /* whether a page waits until the server has read its subscription */
    char sid[32];
    SSL *tls;        /* NULL: none */
    char protocol[16];
    struct text say[3];
    uint32_t next;   /* order number of the event to come */
    size_t tail;     /* from the order number to the end of an event; 0: not known yet */
    struct text rest; /* the beginning of a frame that has not come whole */
    /* Of NATS and MQTT, whose messages need not begin or end with a frame: how one is taken, as by take. */
    size_t (*unwrap)(struct connection *it, const char *data, size_t have);
    struct text part; /* the beginning of such a message */
};

struct board { uint64_t delivered; uint32_t posted, subscribers; double *at, *last, *all; };

struct poster { int fd, board, is_answered; size_t size; char buffer[4096]; };

static struct connection *connections;
static struct board *boards;
static struct poster posters[POSTERS];
static struct text request, poster_opening;
static size_t (*take_answer)(struct poster *it, const char *data, size_t have); /* as take of a connection */
static size_t room_at, order_at;
static SSL_CTX *tls;
static int public, private, size, board_count, poster_count, epoll, is_open_loop;
static uint64_t posts, deliveries, bytes;
static double progress;

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("{\"failed\": \"");
    vprintf(format, arguments);
    printf("\"}\n");
    exit(1);
}

static double now(void)
{
    struct timespec it;
    clock_gettime(CLOCK_MONOTONIC, &it);
    return it.tv_sec + it.tv_nsec * 1e-9;
}

static double cpu(void) { return (double)clock() / CLOCKS_PER_SEC; }

static void *room_for(size_t count, size_t each)
{
    void *found = calloc(count ? count : 1, each);
    if (!found)
        fail("no memory");
    return found;
}

static void say(int fd, const void *data, size_t length)
{
    if (send(fd, data, length, MSG_NOSIGNAL) != (ssize_t)length)
        fail("could not send: %s", strerror(errno));
}

static int dial(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("could not connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    return fd;
}

static void watch(int fd, uint32_t index)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll: %s", strerror(errno));
}

static long number(const char *digits, int count)
{
    long value = 0;
    for (int i = 0; i < count && digits[i] >= '0' && digits[i] <= '9'; i++)
        value = value * 10 + digits[i] - '0';
    return value;
}

static void write_number(char *digits, int count, uint32_t value)
{
    for (; count--; value /= 10)
        digits[count] = '0' + value % 10;
}

/* Browsers, with TLS or without */

static void use_tls(void)
{
    tls = SSL_CTX_new(TLS_client_method());
    if (!tls)
        fail("no TLS");
    /* Otherwise OpenSSL reads the head of each record by itself, which is a system call more. */
    SSL_CTX_set_read_ahead(tls, 1);
}

static void secure(struct connection *it)
{
    it->tls = SSL_new(tls);
    if (!it->tls || !SSL_set_fd(it->tls, it->fd) || SSL_connect(it->tls) != 1)
        fail("no TLS was opened");
    if (fcntl(it->fd, F_SETFL, O_NONBLOCK) < 0)
        fail("fcntl: %s", strerror(errno));
}

static void tell(struct connection *it, const void *data, size_t length)
{
    if (!it->tls)
        say(it->fd, data, length);
    else if (SSL_write(it->tls, data, length) != (int)length)
        fail("could not send by TLS");
}

/* What recv() gives. */
static ssize_t hear(struct connection *it, char *data, size_t most)
{
    if (!it->tls)
        return recv(it->fd, data, most, MSG_DONTWAIT);
    int got = SSL_read(it->tls, data, most);
    if (got > 0)
        return got;
    errno = EAGAIN;
    return SSL_get_error(it->tls, got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void say_frame(struct connection *it, int opcode, const char *payload, size_t length)
{
    unsigned char frame[8192] = {0x80 | opcode};
    size_t head = 2;
    uint32_t mask = (uint32_t)random();
    if (length + 8 > sizeof frame)
        fail("a message of %zu bytes is too long to be sent", length);
    frame[1] = 0x80 | (length < 126 ? length : 126);
    if (length >= 126) {
        frame[2] = length >> 8;
        frame[3] = length & 0xff;
        head = 4;
    }
    memcpy(frame + head, &mask, 4);
    for (size_t i = 0; i < length; i++)
        frame[head + 4 + i] = payload[i] ^ frame[head + (i & 3)];
    tell(it, frame, head + 4 + length);
}

/* The type of a WAMP message; JSON begins with a bracket, MsgPack and CBOR with the length of a short array. */
static int type_of(const unsigned char *payload, size_t length)
{
    if (length < 3)
        return -1;
    if (payload[0] == '[')
        return atoi((const char *)payload + 1);
    if (payload[0] >> 4 == 9)
        return payload[1];
    return payload[1] == 0x18 ? payload[2] : payload[1];
}

static void delivered(struct connection *it, const char *payload, size_t length)
{
    struct board *board = &boards[it->board];
    const char *found = payload + length - it->tail;
    if (!it->tail) {
        found = memmem(payload, length, "n=", 2);
        it->tail = found ? (size_t)(payload + length - found) : 0;
    }
    if (!found || it->tail < DIGITS + 2 || it->tail > length || found[0] != 'n' || found[1] != '=')
        fail("an event without its order number");
    uint32_t got = number(found + 2, DIGITS);
    if (got != it->next || got >= board->posted)
        fail("lost, doubled or out of order: event %u came, %u was next of %u", got, it->next, board->posted);
    it->next++;
    board->delivered++;
    deliveries++;
    bytes += length;
    if (is_open_loop) {
        double at = now(), latency = at - board->at[got];
        board->all[board->delivered - 1] = latency;
        if (latency > board->last[got])
            board->last[got] = latency;
    }
}

/* The answer to the last message of the opening. */
static void go_on(struct connection *it)
{
    if (it->state < SUBSCRIBED)
        say_frame(it, it->opcode, it->say[it->state].data, it->say[it->state].size);
    it->state++;
    progress = now();
}

static void page_message(struct connection *it, const char *packet, size_t length);

static void message(struct connection *it, const char *payload, size_t length)
{
    static const int expected[] = {[CHALLENGE] = 4, [WELCOME] = 2, [SUBSCRIBED] = 33, [OPEN] = EVENT};
    if (it->is_page) {
        page_message(it, payload, length);
        return;
    }
    int type = type_of((const unsigned char *)payload, length);
    if (type != expected[it->state])
        fail("message %d was expected, %d came", expected[it->state], type);
    if (it->state == OPEN)
        delivered(it, payload, length);
    else
        go_on(it);
}

/* Other servers */

static int starts(const char *data, size_t have, const char *with)
{
    return have >= strlen(with) && !memcmp(data, with, strlen(with));
}

static void keep(struct text *kept, const char *data, size_t length)
{
    kept->size = length;
    if (!length)
        return;
    kept->data = realloc(kept->data, length);
    if (!kept->data)
        fail("no memory");
    memcpy(kept->data, data, length);
}

/* What a frame contains: messages, of which the first may have begun in the frame before. */
static void unwrap_all(struct connection *it, const char *data, size_t length)
{
    static char joined[1 << 20];
    size_t used = 0, taken;
    if (it->part.size) {
        if (it->part.size + length > sizeof joined)
            fail("a message that is longer than %zu bytes", sizeof joined);
        memcpy(joined, it->part.data, it->part.size);
        memcpy(joined + it->part.size, data, length);
        data = joined;
        length += it->part.size;
    }
    while (used < length && (taken = it->unwrap(it, data + used, length - used)))
        used += taken;
    keep(&it->part, data + used, length - used);
}

/* The length of a line of NATS; 0 when it is not whole yet. */
static size_t nats_line(const char *data, size_t have)
{
    const char *end = memmem(data, have, "\r\n", 2);
    if (end && starts(data, have, "-ERR"))
        fail("NATS says %.*s", (int)(end - data), data);
    return end ? (size_t)(end + 2 - data) : 0;
}

/* "MSG subject sid length", then so many bytes and the end of a line. */
static size_t nats_event(struct connection *it, const char *data, size_t have, size_t head)
{
    const char *length = (const char *)memrchr(data, ' ', head) + 1;
    size_t payload = number(length, data + head - length);
    if (it->state != OPEN)
        fail("an event came too early");
    if (have < head + payload + 2)
        return 0;
    if (memcmp(data + head + payload, "\r\n", 2))
        fail("an event that does not end where it should");
    delivered(it, data + head, payload);
    return head + payload + 2;
}

static size_t nats(struct connection *it, const char *data, size_t have)
{
    size_t head = nats_line(data, have);
    if (!head)
        return 0;
    if (starts(data, have, "MSG "))
        return nats_event(it, data, have, head);
    int is_info = starts(data, have, "INFO ");
    if (starts(data, have, "PING\r\n"))
        say_frame(it, it->opcode, NATS_PONG, strlen(NATS_PONG));
    else if (it->state == SUBSCRIBED ? starts(data, have, NATS_PONG) : it->state == WELCOME && is_info)
        go_on(it);
    else if (!is_info) /* The server may say again what it is. */
        fail("NATS says %.4s, which was not expected", data);
    return head;
}

/* The head of a packet of MQTT, and the length of what follows; 0 when the packet is not whole yet. */
static size_t mqtt_packet(const char *data, size_t have, size_t *length)
{
    size_t head = 1;
    *length = 0;
    for (int shift = 0; head < have && head < 5; shift += 7) {
        unsigned char digit = data[head++];
        *length |= (size_t)(digit & 0x7f) << shift;
        if (!(digit & 0x80))
            return have < head + *length ? 0 : head;
    }
    if (head == 5)
        fail("a packet of MQTT without its length");
    return 0;
}

static size_t mqtt(struct connection *it, const char *data, size_t have)
{
    size_t length, head = mqtt_packet(data, have, &length), topic;
    const unsigned char *body = (const unsigned char *)data + head;
    if (!head)
        return 0;
    int type = (unsigned char)data[0];
    if (type != (it->state == WELCOME ? CONNACK : it->state == SUBSCRIBED ? SUBACK : PUBLISH) || length < 2)
        fail("a packet of MQTT that begins with %02x was not expected", type);
    if (it->state == OPEN) {
        topic = 2 + (body[0] << 8 | body[1]);
        if (topic > length)
            fail("a packet of MQTT without its topic");
        delivered(it, data + head + topic, length - topic);
    } else if (type == CONNACK ? body[1] : body[length - 1] & REFUSED)
        fail("MQTT refuses a subscriber");
    else
        go_on(it);
    return head + length;
}

static size_t frame(struct connection *it, const char *data, size_t have);

static int has_subprotocol(const struct connection *it) { return !it->is_page && it->unwrap != nats; }

static size_t upgraded(struct connection *it, const char *data, size_t length)
{
    const char *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = end + 4 - data;
    if (strncmp(data, "HTTP/1.1 101 ", 13) || !memmem(data, head, ACCEPT, strlen(ACCEPT)) ||
        (has_subprotocol(it) && !memmem(data, head, it->protocol, strlen(it->protocol))))
        fail("no WebSocket was opened: %.12s", data);
    it->take = frame;
    if (it->is_page) {
        say_frame(it, TEXT, "2probe", 6);
        it->state = PROBE;
        return head;
    }
    /* The server of NATS speaks first. */
    if (it->say[0].size)
        say_frame(it, it->opcode, it->say[0].data, it->say[0].size);
    /* Who has no ticket to show is not asked for one. */
    it->state = it->say[CHALLENGE].size ? CHALLENGE : WELCOME;
    return head;
}

static size_t frame(struct connection *it, const char *data, size_t have)
{
    const unsigned char *head = (const unsigned char *)data;
    size_t begin = 2, length;
    if (have < 2)
        return 0;
    length = head[1];
    if (length > 125) {
        begin = length == 126 ? 4 : 10;
        length = 0;
        if (have < begin)
            return 0;
        for (size_t i = 2; i < begin; i++)
            length = length << 8 | head[i];
    }
    if (have < begin + length)
        return 0;
    /* The messages of other servers need not end with a frame, so it does not matter which frame is the last. */
    if (it->unwrap && (head[0] & 0x7f) <= BINARY) {
        unwrap_all(it, data + begin, length);
        return begin + length;
    }
    switch (head[0]) {
    case 0x80 | TEXT:
    case 0x80 | BINARY:
        message(it, data + begin, length);
        break;
    case 0x80 | PING:
        say_frame(it, PONG, data + begin, length);
        break;
    case 0x80 | PONG:
        if (it->state != CONFIRMATION)
            fail("a pong that nothing has asked for");
        it->state = OPEN;
        progress = now();
        break;
    default:
        fail("the server sent a frame that begins with %02x", head[0]);
    }
    return begin + length;
}

/* Pages */

static void ask_for_websocket(struct connection *it, const char *path)
{
    char ask[512];
    int length = snprintf(ask, sizeof ask,
                          "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " NONCE "\r\n", path, it->sid);
    if (has_subprotocol(it))
        length += snprintf(ask + length, sizeof ask - length, "Sec-WebSocket-Protocol: %s\r\n", it->protocol);
    length += snprintf(ask + length, sizeof ask - length, "\r\n");
    it->take = upgraded;
    tell(it, ask, length);
}

/* A GET, or a POST of a packet. */
static void ask_by_polling(struct connection *it, const struct text *packet)
{
    char ask[8192];
    int length = snprintf(ask, sizeof ask, "%s " ENGINE "polling%s HTTP/1.1\r\nHost: 127.0.0.1\r\n",
                          packet ? "POST" : "GET", it->sid);
    if (packet) {
        if (packet->size + 512 > sizeof ask)
            fail("a packet of %zu bytes is too long to be sent", packet->size);
        length += snprintf(ask + length, sizeof ask - length,
                           "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n", packet->size);
        memcpy(ask + length, packet->data, packet->size);
        length += packet->size;
    } else
        length += snprintf(ask + length, sizeof ask - length, "\r\n");
    say(it->fd, ask, length);
}

/* The length of the answer's head; 0 when the answer is not whole yet. */
static size_t http_answer(const char *data, size_t have, struct text *body)
{
    const char *end = memmem(data, have, "\r\n\r\n", 4), *length;
    if (!end)
        return 0;
    size_t head = end + 4 - data;
    if (strncmp(data, "HTTP/1.1 200 ", 13))
        fail("a page was answered by %.12s", data);
    /* The buffers end with a NUL. */
    length = strcasestr(data, "content-length:");
    if (!length || length > end)
        fail("an answer without its length");
    *body = (struct text){(char *)data + head, strtoul(length + 15, NULL, 10)};
    return have < head + body->size ? 0 : head;
}

static int begins(const struct text *it, const char *with) { return starts(it->data, it->size, with); }

/* An event, or the ping of Engine.IO. Whether it must be answered. */
static int is_ping(struct connection *it, const char *packet, size_t length)
{
    if (length == 1 && *packet == '2')
        return 1;
    if (length < 4 || memcmp(packet, "42[\"", 4))
        fail("an event was expected, %.*s came", length < 4 ? (int)length : 4, packet);
    delivered(it, packet, length);
    return 0;
}

/* The page stops polling, and the rest goes over the WebSocket. The server answers the held GET with a NOOP. */
static void complete_upgrade(struct connection *it)
{
    char data[1024];
    size_t have = 0;
    struct text body;
    while (data[have] = 0, !http_answer(data, have, &body)) {
        ssize_t got = recv(it->polling, data + have, sizeof data - 1 - have, 0);
        if (got <= 0)
            fail("the GET that is held during an upgrade was not answered");
        have += got;
    }
    if (body.size != 1 || *body.data != '6')
        fail("a NOOP was expected, %.4s came", body.data);
    close(it->polling);
    say_frame(it, TEXT, "5", 1);
    say_frame(it, TEXT, it->say[1].data, it->say[1].size);
    /* Pages get no answer to a subscription. It is read before a ping of the same connection. */
    if (it->confirms)
        say_frame(it, PING, "", 0);
    it->state = it->confirms ? CONFIRMATION : OPEN;
    progress = now();
}

static void page_message(struct connection *it, const char *packet, size_t length)
{
    if (it->state == OPEN) {
        if (is_ping(it, packet, length))
            say_frame(it, TEXT, "3", 1);
    } else if (it->state == PROBE && length == 6 && !memcmp(packet, "3probe", 6))
        complete_upgrade(it);
    else
        fail("a packet that begins with %.*s came too early", length < 2 ? (int)length : 2, packet);
}

static void begin_upgrade(struct connection *it)
{
    ask_by_polling(it, NULL);
    if (epoll_ctl(epoll, EPOLL_CTL_DEL, it->fd, NULL) < 0)
        fail("epoll: %s", strerror(errno));
    it->polling = it->fd;
    it->fd = dial(private);
    watch(it->fd, it - connections);
    ask_for_websocket(it, ENGINE "websocket");
}

static void keep_sid(struct connection *it, const struct text *opening)
{
    const char *found = memmem(opening->data, opening->size, "\"sid\":\"", 7), *end;
    end = found ? memchr(found + 7, '"', opening->data + opening->size - found - 7) : NULL;
    if (!begins(opening, "0{") || !end || snprintf(it->sid, sizeof it->sid, "&sid=%.*s", (int)(end - found - 7),
                                                   found + 7) >= (int)sizeof it->sid)
        fail("no session of Engine.IO was opened");
}

/* The packets of an answer to a GET, then the next request. */
static void take_packets(struct connection *it, const struct text *body)
{
    static const struct text pong = {"3", 1};
    int must_answer = 0;
    for (const char *next = body->data, *all = body->data + body->size; next <= all;) {
        const char *end = memchr(next, 0x1e, all - next);
        end = end ? end : all;
        must_answer |= is_ping(it, next, end - next);
        next = end + 1;
    }
    if (must_answer)
        it->state = POSTED;
    ask_by_polling(it, must_answer ? &pong : NULL);
}

static size_t polled(struct connection *it, const char *data, size_t have)
{
    struct text body;
    size_t head = http_answer(data, have, &body);
    if (!head)
        return 0;
    if (it->state != OPEN)
        progress = now();
    switch (it->state) {
    case HANDSHAKE:
        keep_sid(it, &body);
        it->state = CONNECT_POSTED;
        ask_by_polling(it, &it->say[0]);
        break;
    case CONNECT_POSTED:
    case POSTED:
        if (!begins(&body, "ok"))
            fail("a POST of a page was answered by %.2s", body.data);
        it->state = it->state == CONNECT_POSTED ? CONNECTED : OPEN;
        ask_by_polling(it, NULL);
        break;
    case CONNECTED:
        if (!begins(&body, "40{"))
            fail("the namespace was not entered: %.2s", body.data);
        if (!strcmp(it->protocol, SOCKETIO))
            begin_upgrade(it);
        else {
            it->state = POSTED;
            ask_by_polling(it, &it->say[1]);
        }
        break;
    default:
        take_packets(it, &body);
    }
    return head + body.size;
}

/* Whether anything came. */
static int receive(struct connection *it)
{
    static char buffer[1 << 20];
    size_t have = it->rest.size, used = 0, taken;
    if (have)
        memcpy(buffer, it->rest.data, have);
    ssize_t got = hear(it, buffer + have, sizeof buffer - 1 - have);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0)
        fail("the server ended a connection after %u events", it->next);
    have += got;
    buffer[have] = 0;
    while (used < have && (taken = it->take(it, buffer + used, have - used)))
        used += taken;
    keep(&it->rest, buffer + used, have - used);
    return 1;
}

/* Tuleap */

static void post(struct poster *poster, int board)
{
    write_number(request.data + room_at, ROOM_DIGITS, ROOM + board);
    write_number(request.data + order_at, DIGITS, boards[board].posted);
    if (is_open_loop)
        boards[board].at[boards[board].posted] = now();
    poster->board = board;
    poster->is_answered = 0;
    boards[board].posted++;
    posts++;
    say(poster->fd, request.data, request.size);
}

/* The poster's buffers end with a NUL, too. */
static size_t http_answers(struct poster *it, const char *data, size_t have)
{
    const char *end = strstr(data, "\r\n\r\n"), *length = strcasestr(data, "content-length:");
    size_t whole = end ? (size_t)(end + 4 - data) + (length ? atoi(length + 15) : 0) : 0;
    if (!whole || have < whole)
        return 0;
    if (strncmp(data, "HTTP/1.1 2", 10))
        fail("a post was answered by %.12s", data);
    it->is_answered = 1;
    return whole;
}

static size_t nats_answers(struct poster *it, const char *data, size_t have)
{
    size_t length = nats_line(data, have);
    if (!length)
        return 0;
    if (starts(data, have, "PING\r\n"))
        say(it->fd, NATS_PONG, strlen(NATS_PONG));
    else if (starts(data, have, "+OK\r\n"))
        it->is_answered = 1;
    else if (!starts(data, have, "INFO "))
        fail("a post was answered by %.4s", data);
    return length;
}

static size_t mqtt_answers(struct poster *it, const char *data, size_t have)
{
    size_t length, head = mqtt_packet(data, have, &length);
    if (!head)
        return 0;
    int type = (unsigned char)data[0];
    if ((type != CONNACK && type != PUBACK) || length != 2 || (type == CONNACK && data[3]))
        fail("a post was answered by a packet that begins with %02x", type);
    it->is_answered = 1;
    return head + length;
}

static void answered(struct poster *it)
{
    size_t used = 0, taken;
    ssize_t got = recv(it->fd, it->buffer + it->size, sizeof it->buffer - 1 - it->size, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0)
        fail("the server ended a connection of the poster");
    it->size += got;
    it->buffer[it->size] = 0;
    while (used < it->size && (taken = take_answer(it, it->buffer + used, it->size - used)))
        used += taken;
    it->size -= used;
    memmove(it->buffer, it->buffer + used, it->size);
}

static int is_everywhere(const struct poster *it)
{
    const struct board *board = &boards[it->board];
    return it->is_answered && board->delivered == (uint64_t)board->posted * board->subscribers;
}

static void poll_for(int milliseconds)
{
    static struct epoll_event ready[256];
    uint64_t before = deliveries;
    int count = epoll_wait(epoll, ready, 256, milliseconds);
    for (int i = 0; i < count; i++)
        if (ready[i].data.u32 < (uint32_t)size) {
            struct connection *it = &connections[ready[i].data.u32];
            /* What OpenSSL has read already, epoll does not know of. */
            while (receive(it) && it->tls && SSL_has_pending(it->tls))
                ;
        } else {
            answered(&posters[ready[i].data.u32 - size]);
            progress = now();
        }
    if (deliveries != before)
        progress = now();
    else if (now() - progress > PATIENCE)
        fail("nothing came for %d s, after %lu deliveries", PATIENCE, deliveries);
}

/* The phases */

static void open_all(const char *path, int at_a_time, int is_plain)
{
    char ask[16];
    int opened = 0, begun = 0;
    progress = now();
    while (opened < size) {
        for (; begun < size && begun - opened < at_a_time; begun++) {
            struct connection *it = &connections[begun];
            it->fd = dial(it->is_page ? private : public);
            watch(it->fd, begun);
            it->take = frame;
            if (tls)
                secure(it);
            if (is_plain) {
                /* The yardstick wants to know the board, and says one byte. */
                say(it->fd, ask, snprintf(ask, sizeof ask, "S%06d", it->board));
                if (recv(it->fd, ask, 1, 0) != 1)
                    fail("the yardstick does not answer");
                it->state = OPEN;
            } else if (it->is_page) {
                /* Those before are read before these have come so far. */
                it->confirms = begun >= size - at_a_time;
                it->take = polled;
                it->state = HANDSHAKE;
                ask_by_polling(it, NULL);
            } else
                ask_for_websocket(it, path);
        }
        if (!is_plain)
            poll_for(1000);
        /* In step: the first that is not open yet holds back those after it by at most at_a_time. */
        while (opened < begun && connections[opened].state == OPEN)
            opened++;
    }
}

/* A poster of another server says at once what must come before its posts. The answer is as that to a post. */
static void open_posters(void)
{
    for (int i = 0; i < poster_count; i++) {
        struct poster *it = &posters[i];
        it->fd = dial(private);
        it->board = i;
        it->is_answered = !poster_opening.size;
        watch(it->fd, size + i);
        if (poster_opening.size)
            say(it->fd, poster_opening.data, poster_opening.size);
        while (!it->is_answered)
            poll_for(1000);
    }
}

static void closed_loop(double seconds)
{
    double until = now() + seconds;
    int busy = 1;
    progress = now();
    while (busy) {
        busy = 0;
        int is_over = now() >= until;
        for (int i = 0; i < poster_count; i++) {
            struct poster *it = &posters[i];
            if (is_everywhere(it) && !is_over)
                post(it, it->board + poster_count < board_count ? it->board + poster_count : i);
            busy |= !is_everywhere(it);
        }
        if (busy)
            poll_for(1000);
    }
}

/* All boards at the same moment, the first one first: what the others have to wait for is in their latencies. */
static double open_loop(double seconds, int rate)
{
    int count = seconds * rate, busy = 1;
    double begun = now(), left, late = 0;
    for (int i = 0; i < board_count; i++) {
        boards[i].at = room_for(count, sizeof(double));
        boards[i].last = room_for(count, sizeof(double));
        boards[i].all = room_for((size_t)count * boards[i].subscribers, sizeof(double));
        boards[i].posted = boards[i].delivered = 0;
    }
    for (int i = 0; i < size; i++)
        connections[i].next = 0;
    is_open_loop = 1;
    progress = begun;
    for (int n = 0; n < count; n++) {
        double due = begun + (double)n / rate;
        while ((left = due - now()) > 0)
            poll_for(left * 1000);
        late = -left > late ? -left : late;
        for (int i = 0; i < board_count; i++) {
            while (!posters[i].is_answered)
                poll_for(1000);
            post(&posters[i], i);
        }
    }
    while (busy) {
        busy = 0;
        for (int i = 0; i < poster_count; i++)
            busy |= !is_everywhere(&posters[i]);
        if (busy)
            poll_for(1000);
    }
    return late;
}

static int by_value(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

/* By nearest rank. */
static size_t rank(size_t count, int percent) { return (count * percent + 99) / 100 - 1; }

static void print_latencies(double late)
{
    printf(", \"late\": %.6f, \"boards\": [", late);
    for (int i = 0; i < board_count; i++) {
        struct board *it = &boards[i];
        qsort(it->all, it->delivered, sizeof(double), by_value);
        qsort(it->last, it->posted, sizeof(double), by_value);
        printf("%s{\"p50\": %.6f, \"p99\": %.6f, \"last_p50\": %.6f, \"last_p99\": %.6f}", i ? ", " : "",
               it->all[rank(it->delivered, 50)], it->all[rank(it->delivered, 99)], it->last[rank(it->posted, 50)],
               it->last[rank(it->posted, 99)]);
    }
    printf("]");
}

/* The yardstick: one epoll, a post is read whole, answered, and sent on to its board. */

static struct text yard_frame(size_t length)
{
    struct text it = {room_for(length, 1), length};
    size_t begin = length > 4 + 0xffff ? 10 : 4, payload = length - begin;
    memset(it.data, ' ', length);
    it.data[0] = (char)(0x80 | TEXT);
    it.data[1] = begin == 4 ? 126 : 127;
    for (size_t i = begin - 1; i > 1; i--, payload >>= 8)
        it.data[i] = payload & 0xff;
    memcpy(it.data + begin, "[36,", 4);
    return it;
}

static int yard_listener(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&here, length) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&here, &length) < 0)
        fail("could not listen: %s", strerror(errno));
    printf("{\"port\": %d}\n", ntohs(here.sin_port));
    return fd;
}

static void yard_heard(int fd, struct text *kept, size_t request_size, struct text *out)
{
    static struct { int fd[10000], count; } places[1000];
    if (kept->data[0] == 'S') {
        int board = number(kept->data + 1, ROOM_DIGITS) % 1000;
        if (places[board].count == 10000)
            fail("too many subscribers for the yardstick");
        places[board].fd[places[board].count++] = fd;
        kept->size = 0;
        say(fd, ".", 1);
    } else if (kept->size >= request_size) {
        static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        int place = (number(kept->data + room_at, ROOM_DIGITS) - ROOM) % 1000;
        if (place < 0 || memcmp(kept->data + order_at - 2, "n=", 2))
            fail("not a post");
        memcpy(out->data + out->size - DIGITS - 2, kept->data + order_at - 2, DIGITS + 2);
        kept->size = 0;
        say(fd, answer, sizeof answer - 1);
        for (int j = 0; j < places[place].count; j++)
            say(places[place].fd[j], out->data, out->size);
    }
}

static _Noreturn void yard(size_t frame_size, size_t request_size)
{
    static struct text kept[MOST];
    struct text out = yard_frame(frame_size);
    int listener = yard_listener(), yes = 1;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(listener, listener);
    for (;;) {
        struct epoll_event ready[256];
        int count = epoll_wait(epoll, ready, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.u32;
            if (fd == listener) {
                fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                if (fd < 0 || fd >= MOST)
                    fail("could not accept: %s", strerror(errno));
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                kept[fd] = (struct text){room_for(request_size, 1), 0};
                watch(fd, fd);
                continue;
            }
            struct text *it = &kept[fd];
            ssize_t got = recv(fd, it->data + it->size, request_size - it->size, 0);
            if (got <= 0) {
                free(it->data);
                close(fd);
                continue;
            }
            it->size += got;
            yard_heard(fd, it, request_size, &out);
        }
    }
}

static int nibble(char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; }

static struct text from_hex(const char *hex)
{
    struct text it = {room_for(strlen(hex) / 2 + 1, 1), strlen(hex) / 2};
    for (size_t i = 0; i < it.size; i++)
        it.data[i] = nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]);
    return it;
}

static char *line(void)
{
    static char *text;
    static size_t room_of_text;
    ssize_t length = getline(&text, &room_of_text, stdin);
    if (length <= 0)
        exit(0);
    text[length - 1] = 0;
    return text;
}

/* The protocol, a post, and the opening of a poster if there is one. */
static void read_request(char *text)
{
    const char *protocol = strsep(&text, " ");
    take_answer = !strcmp(protocol, NATS) ? nats_answers : !strcmp(protocol, MQTT) ? mqtt_answers : http_answers;
    request = from_hex(text ? strsep(&text, " ") : "");
    poster_opening = from_hex(text ? text : "");
}

int main(int count, char **arguments)
{
    static char path[128];
    int rate, at_a_time, is_plain, is_tls;
    double warm, seconds;
    setvbuf(stdout, NULL, _IOLBF, 0);
    alarm(ALARM);
    signal(SIGPIPE, SIG_IGN);
    if (count == 6 && !strcmp(arguments[1], "yard")) {
        room_at = atoi(arguments[4]);
        order_at = atoi(arguments[5]);
        yard(atoi(arguments[2]), atoi(arguments[3]));
    }
    if (sscanf(line(), "%d %d %127s %d %d %d %d %d %d %d %lf %lf %zu %zu", &public, &private, path, &size, &board_count,
               &poster_count, &at_a_time, &is_plain, &is_tls, &rate, &warm, &seconds, &room_at, &order_at) != 14)
        fail("the first line of the plan is not understood");
    read_request(line());
    if (room_at + ROOM_DIGITS > request.size || order_at + DIGITS > request.size || poster_count > POSTERS ||
        poster_count > board_count || size > MOST)
        fail("the plan cannot be followed");
    if (is_tls)
        use_tls();
    connections = room_for(size, sizeof *connections);
    boards = room_for(board_count, sizeof *boards);
    for (int i = 0; i < size; i++) {
        struct connection *it = &connections[i];
        char *next = line();
        it->board = atoi(strsep(&next, " "));
        if (it->board < 0 || it->board >= board_count)
            fail("there is no board %d", it->board);
        boards[it->board].subscribers++;
        snprintf(it->protocol, sizeof it->protocol, "%s", strsep(&next, " "));
        it->is_page = !strcmp(it->protocol, SOCKETIO) || !strcmp(it->protocol, POLLING);
        it->opcode = it->is_page || !strcmp(it->protocol, "wamp.2.json") ? TEXT : BINARY;
        it->unwrap = !strcmp(it->protocol, NATS) ? nats : !strcmp(it->protocol, MQTT) ? mqtt : NULL;
        for (int j = 0; j < 3 && next; j++)
            it->say[j] = from_hex(strsep(&next, " "));
    }
    printf("{\"planned\": %d}\n", size);
    line();

    epoll = epoll_create1(EPOLL_CLOEXEC);
    double begun = now();
    open_all(path, at_a_time, is_plain);
    open_posters();
    printf("{\"seconds\": %.6f}\n", now() - begun);
    line();

    closed_loop(warm);
    printf("{\"posts\": %lu}\n", posts);
    line();

    double late = 0, busy = cpu();
    posts = deliveries = bytes = 0;
    begun = now();
    if (rate)
        late = open_loop(seconds, rate);
    else
        closed_loop(seconds);
    double took = now() - begun;
    busy = cpu() - busy;
    uint64_t wanted = deliveries;
    poll_for(100);
    if (deliveries != wanted)
        fail("doubled: %lu deliveries too many", deliveries - wanted);
    printf("{\"seconds\": %.6f, \"posts\": %lu, \"deliveries\": %lu, \"event_bytes\": %.1f, \"busy\": %.3f", took, posts,
           deliveries, deliveries ? (double)bytes / deliveries : 0, busy / took);
    if (rate)
        print_latencies(late);
    printf("}\n");
    line();
    return 0;
}
