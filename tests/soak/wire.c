/* Connections: TLS on loopback, answers that take their time, and ends of all kinds. */
#include "tests/soak/soak.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE 16384
#define SILENT_FOR (20 * MINUTE) /* then the server gives a connection up of which it hears nothing */

struct speech {
    GString *text;
    GPtrArray *touched;
    bool last; /* BYE: the connection ends behind it */
};


/* --- listening ---------------------------------------------------------------------------------------------------- */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* A socket that has the port; nobody is listened to yet. */
static void bind_port(server *v) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(v->port)};
    socklen_t len = sizeof at;
    int on = 1;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(v->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(v->listener, (struct sockaddr *)&at, len) != 0 ||
        getsockname(v->listener, (struct sockaddr *)&at, &len) != 0) {
        fail("bind");
    }
    v->port = ntohs(at.sin_port);
}

void wire_listen(server *v, bool on) {
    struct epoll_event event = {.events = EPOLLIN};

    v->down = !on;
    if (!on) {
        close(v->listener);
        bind_port(v);
        return;
    }
    event.data.fd = v->listener;
    if (listen(v->listener, 128) != 0 || epoll_ctl(v->soak->epoll, EPOLL_CTL_ADD, v->listener, &event) != 0) {
        fail("listen");
    }
}

static void accept_all(soak *s, server *v) {
    int fd, on = 1;

    while ((fd = accept4(v->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        peer *p = g_new0(peer, 1);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* the kernel's pauses are real ones */
        p->soak = s;
        p->server = v;
        p->id = ++s->peer_ids;
        p->fd = fd;
        p->ssl = SSL_new(s->tls);
        p->in = g_string_new(NULL);
        p->out = g_string_new(NULL);
        p->saying = g_string_new(NULL);
        p->view = g_array_new(FALSE, FALSE, sizeof(uint32_t));
        p->touched = g_ptr_array_new();
        p->since = p->heard_at = s->now;
        g_queue_init(&p->later);
        SSL_set_fd(p->ssl, fd);
        SSL_set_accept_state(p->ssl);
        g_hash_table_insert(s->by_fd, GINT_TO_POINTER(fd), p);
        g_hash_table_insert(s->peers, &p->id, p);
        epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

static void speech_free(struct speech *speech, bool lost) {
    for (guint i = 0; lost && i < speech->touched->len; i++) {
        ((letter *)speech->touched->pdata[i])->answers_lost++;
    }
    g_ptr_array_free(speech->touched, TRUE);
    g_string_free(speech->text, TRUE);
    g_free(speech);
}

static void peer_free(peer *p) {
    struct speech *speech;

    while ((speech = g_queue_pop_head(&p->later))) {
        speech_free(speech, true);
    }
    SSL_free(p->ssl);
    g_string_free(p->in, TRUE);
    g_string_free(p->out, TRUE);
    g_string_free(p->saying, TRUE);
    g_array_free(p->view, TRUE);
    g_ptr_array_free(p->touched, TRUE);
    notify_forget(p);
    g_free(p->idle_tag);
    g_free(p->auth_tag);
    g_free(p);
}

/* Nothing is said any more; memory goes later. */
static void hang_up(peer *p) {
    if (p->closing) {
        return;
    }
    p->closing = true;
    g_hash_table_remove(p->soak->by_fd, GINT_TO_POINTER(p->fd));
    g_hash_table_remove(p->soak->peers, &p->id);
    close(p->fd);
    g_ptr_array_add(p->soak->dead, p);
}

static void give_up(soak *s, void *user, uint64_t id) {
    peer *p = g_hash_table_lookup(s->peers, &id);

    (void)user;
    if (p) {
        peer_end(p, FATE_RESET);
    }
}

void peer_end(peer *p, enum fate fate) {
    struct linger linger = {1, 0};

    if (p->closing) {
        return;
    }
    if (fate == FATE_BYE && p->greeted && !p->silent) {
        static const char bye[] = "* BYE Session expired, please login again.\r\n";
        SSL_write(p->ssl, bye, sizeof bye - 1);
        SSL_shutdown(p->ssl);
    } else if (fate == FATE_SILENCE) {
        if (!p->silent) {
            p->silent = true;
            p->silent_since = p->soak->now;
            epoll_ctl(p->soak->epoll, EPOLL_CTL_DEL, p->fd, NULL);
            agenda_add(p->soak, p->soak->now + SILENT_FOR, give_up, NULL, p->id);
        }
        return;
    } else if (fate == FATE_RESET) {
        setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    hang_up(p);
}

GPtrArray *peers_of(soak *s, const server *v, const account *a) {
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    gpointer p;

    g_hash_table_iter_init(&iter, s->peers);
    while (g_hash_table_iter_next(&iter, NULL, &p)) {
        if ((!v || ((peer *)p)->server == v) && (!a || ((peer *)p)->account == a)) {
            g_ptr_array_add(list, p);
        }
    }
    return list;
}

void peer_end_all(soak *s, const server *v, const account *a, enum fate fate) {
    g_autoptr(GPtrArray) list = peers_of(s, v, a);

    for (guint i = 0; i < list->len; i++) {
        peer_end(list->pdata[i], fate);
    }
}

/* --- saying ------------------------------------------------------------------------------------------------------- */

static void watch(peer *p, bool write_too) {
    struct epoll_event event = {.events = EPOLLIN | (write_too ? EPOLLOUT : 0u), .data.fd = p->fd};

    if (p->wants_write != write_too) {
        p->wants_write = write_too;
        epoll_ctl(p->soak->epoll, EPOLL_CTL_MOD, p->fd, &event);
    }
}

static void write_out(peer *p) {
    while (p->out->len && !p->closing) {
        int n = SSL_write(p->ssl, p->out->str, (int)p->out->len);
        if (n <= 0) {
            n = SSL_get_error(p->ssl, n);
            if (n == SSL_ERROR_WANT_WRITE || n == SSL_ERROR_WANT_READ) {
                watch(p, true);
            } else {
                hang_up(p);
            }
            return;
        }
        g_string_erase(p->out, 0, n);
    }
    if (!p->closing) {
        watch(p, false);
    }
}

static void say_now(soak *s, void *user, uint64_t id) {
    peer *p = g_hash_table_lookup(s->peers, &id);
    struct speech *speech = p && !p->silent ? g_queue_pop_head(&p->later) : NULL;

    (void)user;
    if (!speech) {
        return;
    }
    bool last = speech->last;
    g_string_append_len(p->out, speech->text->str, (gssize)speech->text->len);
    speech_free(speech, false);
    write_out(p);
    if (last) {
        peer_end(p, FATE_CLOSE);
    }
}

void peer_say(peer *p, const char *format, ...) {
    va_list args;

    va_start(args, format);
    g_string_append_vprintf(p->saying, format, args);
    va_end(args);
}

/* The command was carried out, or was not: who asked will not be told. */
static void lose(peer *p) {
    soak *s = p->soak;

    s->count.lost_answers++;
    for (guint i = 0; i < p->touched->len; i++) {
        ((letter *)p->touched->pdata[i])->answers_lost++;
    }
    if (p->lose_how == FATES) { /* half of it, then the end */
        SSL_write(p->ssl, p->saying->str, (int)MAX(1, p->saying->len / 2));
        p->lose_how = FATE_RESET;
    }
    peer_end(p, p->lose_how);
}

void peer_send(peer *p) {
    soak *s = p->soak;
    struct speech *speech;
    int64_t latency = p->server->provider->latency;

    if (p->closing || p->silent || !p->saying->len) {
        return;
    }
    if (p->lose_answer) {
        p->lose_answer = false;
        lose(p);
        return;
    }
    speech = g_new0(struct speech, 1);
    speech->text = p->saying;
    speech->touched = p->touched;
    speech->last = strstr(p->saying->str, "* BYE") != NULL;
    p->saying = g_string_new(NULL);
    p->touched = g_ptr_array_new();
    g_queue_push_tail(&p->later, speech);
    p->said_at = MAX(p->said_at, s->now + latency + (int64_t)chance_below(&p->server->chance, (uint64_t)latency));
    agenda_add(s, p->said_at, say_now, NULL, p->id);
}

/* --- hearing ------------------------------------------------------------------------------------------------------ */

static bool handshake(peer *p) {
    int n = SSL_accept(p->ssl);

    if (n == 1) {
        p->greeted = true;
        imap_greet(p);
        return true;
    }
    n = SSL_get_error(p->ssl, n);
    if (n != SSL_ERROR_WANT_READ && n != SSL_ERROR_WANT_WRITE) {
        hang_up(p);
    }
    return false;
}

static void serve(peer *p) {
    char buffer[READ_SIZE];
    int n = 0;

    if (!p->greeted && !handshake(p)) {
        return;
    }
    write_out(p);
    while (!p->closing && !p->silent && (n = SSL_read(p->ssl, buffer, sizeof buffer)) > 0) {
        p->heard_at = p->soak->now;
        g_string_append_len(p->in, buffer, n);
        imap_take(p);
    }
    if (!p->closing && !p->silent && n <= 0 && SSL_get_error(p->ssl, n) != SSL_ERROR_WANT_READ) {
        hang_up(p);
    }
}

static void bury(soak *s) {
    for (guint i = 0; i < s->dead->len; i++) {
        peer_free(s->dead->pdata[i]);
    }
    g_ptr_array_set_size(s->dead, 0);
}

static void take_event(soak *s, int fd) {
    peer *p = g_hash_table_lookup(s->by_fd, GINT_TO_POINTER(fd));

    if (p) {
        serve(p);
        return;
    }
    for (guint i = 0; i < s->servers->len; i++) {
        server *v = s->servers->pdata[i];
        if (v->listener == fd) {
            accept_all(s, v);
            return;
        }
    }
    hook_turn(s, fd);
}

bool wire_turn(soak *s, int wait_us) {
    struct epoll_event events[64];
    int n = epoll_wait(s->epoll, events, G_N_ELEMENTS(events), 0);

    if (n == 0 && wait_us) {
        nanosleep(&(struct timespec){0, wait_us * 1000L}, NULL);
        n = epoll_wait(s->epoll, events, G_N_ELEMENTS(events), 0);
    }
    for (int i = 0; i < n; i++) {
        take_event(s, events[i].data.fd);
    }
    bury(s);
    return n > 0;
}

void wire_init(soak *s) {
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->peers = g_hash_table_new(g_int64_hash, g_int64_equal);
    s->by_fd = g_hash_table_new(NULL, NULL);
    s->dead = g_ptr_array_new();
    s->tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(s->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_file(s->tls, s->certificate, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(s->tls, s->key, SSL_FILETYPE_PEM) != 1) {
        fputs("soak: certificate or key cannot be used\n", stderr);
        exit(1);
    }
    for (guint i = 0; i < s->servers->len; i++) {
        bind_port(s->servers->pdata[i]);
        wire_listen(s->servers->pdata[i], true);
    }
}

void wire_release(soak *s) {
    peer_end_all(s, NULL, NULL, FATE_CLOSE);
    bury(s);
    for (guint i = 0; i < s->servers->len; i++) {
        close(((server *)s->servers->pdata[i])->listener);
    }
    g_ptr_array_free(s->dead, TRUE);
    g_hash_table_destroy(s->by_fd);
    g_hash_table_destroy(s->peers);
    SSL_CTX_free(s->tls);
    close(s->epoll);
}
