#include "net/stream.h"

#include "tests/unit/unit.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct end {
    stream *s;
    GByteArray *data;
    int drained;
    bool closed, free_on_data;
    error *err;
} end;

typedef struct world {
    clock_source clock;
    event_loop *loop;
    end a, b;
    char *dir, *path;
    int accepted;
} world;

static int set_up(void **state) {
    world *w = g_new0(world, 1);

    alarm(60);
    clock_init_fake(&w->clock, 0);
    assert_null(loop_new(&w->clock, &w->loop));
    w->a.data = g_byte_array_new();
    w->b.data = g_byte_array_new();
    w->dir = g_dir_make_tmp("mailruled-net-XXXXXX", NULL);
    w->path = g_build_filename(w->dir, "control", NULL);
    w->accepted = -1;
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;

    stream_free(w->a.s);
    stream_free(w->b.s);
    g_byte_array_unref(w->a.data);
    g_byte_array_unref(w->b.data);
    error_free(w->a.err);
    error_free(w->b.err);
    if (w->accepted >= 0) {
        close(w->accepted);
    }
    loop_free(w->loop);
    g_unlink(w->path);
    g_rmdir(w->dir);
    g_free(w->path);
    g_free(w->dir);
    g_free(w);
    return 0;
}

static void on_data(void *user, const uint8_t *bytes, size_t len) {
    end *e = user;

    g_byte_array_append(e->data, bytes, (guint)len);
    if (e->free_on_data) {
        g_clear_pointer(&e->s, stream_free);
    }
}

static void on_drained(void *user) {
    ((end *)user)->drained++;
}

static void on_closed(void *user, error *err) {
    end *e = user;

    e->closed = true;
    e->err = err;
}

static const stream_events events = {on_data, on_drained, on_closed};

static void open_pair(world *w, const stream_options *options) {
    int fds[2];

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    assert_null(stream_new(w->loop, fds[0], options, &events, &w->a, &w->a.s));
    assert_null(stream_new(w->loop, fds[1], options, &events, &w->b, &w->b.s));
}

#define until(world, condition)                                                                                        \
    while (!(condition)) {                                                                                             \
        loop_turn((world)->loop, true);                                                                                \
    }

static void a_frame_of_160_mb_passes_in_order(void **state) {
    world *w = *state;
    size_t len = 160u << 20;
    uint8_t *frame = g_malloc(len);

    for (size_t i = 0; i < len; i += 4) {
        memcpy(frame + i, &(uint32_t){(uint32_t)i}, 4);
    }
    g_autoptr(GBytes) bytes = g_bytes_new_take(frame, len);
    open_pair(w, NULL);
    stream_write(w->a.s, "head", 4);
    stream_write_bytes(w->a.s, bytes);
    stream_write(w->a.s, "tail", 4);
    assert_true(stream_over_high_water(w->a.s));
    until(w, w->b.data->len == len + 8);
    assert_memory_equal(w->b.data->data, "head", 4);
    assert_memory_equal(w->b.data->data + 4, frame, len);
    assert_memory_equal(w->b.data->data + 4 + len, "tail", 4);
    assert_int_equal(stream_queued(w->a.s), 0);
    assert_int_equal(w->a.drained, 1);
}

static void many_small_writes_arrive_in_order(void **state) {
    world *w = *state;
    GString *expected = g_string_new(NULL);

    open_pair(w, &(stream_options){.high_water = 100});
    for (int i = 0; i < 100000; i++) {
        char text[16];
        int n = g_snprintf(text, sizeof text, "%d,", i);

        g_string_append(expected, text);
        stream_write(w->a.s, text, (size_t)n);
    }
    until(w, w->b.data->len == expected->len);
    assert_memory_equal(w->b.data->data, expected->str, expected->len);
    assert_int_equal(w->a.drained, 1);
    g_string_free(expected, TRUE);
}

static void a_paused_stream_reads_nothing(void **state) {
    world *w = *state;

    open_pair(w, NULL);
    stream_pause(w->b.s, true);
    stream_write(w->a.s, "x", 1);
    loop_turn(w->loop, false);
    loop_turn(w->loop, false);
    assert_int_equal(w->b.data->len, 0);
    stream_pause(w->b.s, false);
    until(w, w->b.data->len == 1);
}

static void finish_sends_what_is_queued_and_closes(void **state) {
    world *w = *state;
    g_autofree uint8_t *bytes = g_malloc0(5u << 20);

    open_pair(w, NULL);
    stream_write(w->a.s, bytes, 5u << 20);
    stream_finish(w->a.s);
    stream_write(w->a.s, "late", 4);
    until(w, w->a.closed && w->b.closed);
    assert_null(w->a.err);
    assert_null(w->b.err);
    assert_int_equal(w->b.data->len, 5u << 20);
}

static void a_peer_that_is_gone_is_an_error_for_the_writer(void **state) {
    world *w = *state;
    g_autofree uint8_t *bytes = g_malloc0(5u << 20);

    open_pair(w, NULL);
    stream_pause(w->a.s, true);
    stream_write(w->a.s, bytes, 5u << 20);
    g_clear_pointer(&w->b.s, stream_free);
    until(w, w->a.closed);
    assert_non_null(w->a.err);
    assert_int_equal(w->a.err->code, ERROR_IO);
    stream_write(w->a.s, "dropped", 7);
    assert_int_equal(stream_queued(w->a.s), 0);
}

static void a_stream_may_be_freed_while_it_delivers(void **state) {
    world *w = *state;

    open_pair(w, &(stream_options){.read_chunk = 1});
    w->b.free_on_data = true;
    stream_write(w->a.s, "xyz", 3);
    until(w, w->b.data->len);
    assert_null(w->b.s);
    assert_int_equal(w->b.data->len, 1);
    until(w, w->a.closed);
}

/* --- listeners -------------------------------------------------------------------------------------------------- */

static void on_accept(void *user, int fd) {
    world *w = user;

    w->accepted = fd;
}

static void a_unix_socket_has_its_mode_and_goes_away(void **state) {
    world *w = *state;
    listener *l;
    struct stat st;
    int fd;
    pid_t pid;
    uid_t uid;

    assert_null(listener_new_unix(w->loop, w->path, 0600, on_accept, w, &l));
    assert_int_equal(lstat(w->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_null(stream_connect_unix(w->path, &fd));
    until(w, w->accepted >= 0);
    assert_null(stream_new(w->loop, w->accepted, NULL, &events, &w->a, &w->a.s));
    w->accepted = -1;
    assert_true(stream_peer(w->a.s, &pid, &uid));
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, getuid());
    assert_int_equal(write(fd, "status\n", 7), 7);
    until(w, w->a.data->len == 7);
    close(fd);
    until(w, w->a.closed);
    assert_null(w->a.err);
    listener_free(l);
    assert_int_equal(access(w->path, F_OK), -1);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state) {
    world *w = *state;
    listener *first, *second;

    assert_null(listener_new_unix(w->loop, w->path, 0600, on_accept, w, &first));
    g_autoptr(error) err = listener_new_unix(w->loop, w->path, 0600, on_accept, w, &second);
    assert_non_null(err);
    assert_non_null(strstr(err->text, "already in use"));
    assert_null(second);
    /* As after a crash: the file is there, nobody listens. */
    g_autofree char *aside = g_strconcat(w->path, ".aside", NULL);
    assert_int_equal(rename(w->path, aside), 0);
    listener_free(first);
    assert_int_equal(rename(aside, w->path), 0);
    assert_null(listener_new_unix(w->loop, w->path, 0600, on_accept, w, &second));
    listener_free(second);
}

static void what_is_no_socket_is_left_alone(void **state) {
    world *w = *state;
    listener *l;

    g_file_set_contents(w->path, "mine", -1, NULL);
    g_autoptr(error) err = listener_new_unix(w->loop, w->path, 0600, on_accept, w, &l);
    assert_non_null(strstr(err->text, "no socket"));
    assert_int_equal(access(w->path, F_OK), 0);
}

static void a_path_that_is_too_long_is_refused(void **state) {
    world *w = *state;
    g_autofree char *path = g_strnfill(108, 'x');
    listener *l;
    g_autoptr(error) err = listener_new_unix(w->loop, path, 0600, on_accept, w, &l);

    assert_int_equal(err->code, ERROR_INVALID);
}

static void tcp_listens_on_a_port_of_the_kernels_choice(void **state) {
    world *w = *state;
    listener *l, *again;

    assert_null(listener_new_tcp(w->loop, "127.0.0.1", 0, on_accept, w, &l));
    assert_true(listener_port(l) > 0);
    g_autoptr(error) taken = listener_new_tcp(w->loop, "127.0.0.1", listener_port(l), on_accept, w, &again);
    assert_int_equal(taken->code, ERROR_IO);
    g_autoptr(error) name = listener_new_tcp(w->loop, "localhost", 0, on_accept, w, &again);
    assert_int_equal(name->code, ERROR_INVALID);
    listener_free(l);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(a_frame_of_160_mb_passes_in_order),
        T(many_small_writes_arrive_in_order),
        T(a_paused_stream_reads_nothing),
        T(finish_sends_what_is_queued_and_closes),
        T(a_peer_that_is_gone_is_an_error_for_the_writer),
        T(a_stream_may_be_freed_while_it_delivers),
        T(a_unix_socket_has_its_mode_and_goes_away),
        T(a_stale_socket_is_replaced_and_a_live_one_is_not),
        T(what_is_no_socket_is_left_alone),
        T(a_path_that_is_too_long_is_refused),
        T(tcp_listens_on_a_port_of_the_kernels_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
