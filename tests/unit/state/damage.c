/* Files that are cut, overwritten, lost or too new: refused with advice, left as they were, never begun anew. */
#include "scenario.h"

struct bytes {
    char *data;
    gsize len;
};

static char *path_of(struct fixture *f, const char *name) {
    return g_build_filename(f->dir, name, NULL);
}

static struct bytes load(struct fixture *f, const char *name) {
    g_autofree char *path = path_of(f, name);
    struct bytes b = {0};

    if (!g_file_get_contents(path, &b.data, &b.len, NULL)) {
        b = (struct bytes){0};
    }
    return b;
}

static void store(struct fixture *f, const char *name, const char *data, gsize len) {
    g_autofree char *path = path_of(f, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_true(write(fd, data, len) == (ssize_t)len);
    close(fd);
}

static void erase(struct fixture *f, const char *name) {
    g_autofree char *path = path_of(f, name);

    unlink(path);
}

/* A state whose process died: its last transactions are in the log only. */
static struct fixture *crashed(void) {
    struct fixture *f = fixture_new();
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (try_open(f)) {
            _exit(1);
        }
        for (int i = 0; i < SCENARIO_STEPS; i++) {
            if (!scenario_step(f, i)) {
                _exit(1);
            }
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    return f;
}

static struct fixture *closed(void) {
    struct fixture *f = fixture_new();

    must_open(f);
    for (int i = 0; i < SCENARIO_STEPS; i++) {
        assert_true(scenario_step(f, i));
    }
    state_close(f->st);
    f->st = NULL;
    return f;
}

static void refused(struct fixture *f, const char *why) {
    struct bytes db = load(f, "journal.db"), wal = load(f, "journal.db-wal");
    error *err = try_open(f);

    assert_null(f->st);
    assert_non_null(err);
    if (err->code != ERROR_STATE || !strstr(err->text, why)) {
        fail_msg("expected \"%s\", got %s: %s", why, error_code_name(err->code), err->text);
    }
    assert_true(strstr(err->text, "restore") || strstr(err->text, "install") || strstr(err->text, "another directory"));
    error_free(err);
    struct bytes db_after = load(f, "journal.db"), wal_after = load(f, "journal.db-wal");
    assert_true(db.len == db_after.len && (!db.len || memcmp(db.data, db_after.data, db.len) == 0));
    assert_true(wal.len == wal_after.len && (!wal.len || memcmp(wal.data, wal_after.data, wal.len) == 0));
    g_free(db.data);
    g_free(wal.data);
    g_free(db_after.data);
    g_free(wal_after.data);
}

static void fault_55_a_database_cut_short_is_refused(void **state_in) {
    struct fixture *f = closed();
    struct bytes db = load(f, "journal.db");
    const gsize lengths[] = {0, 1, 99, 100, 512, 4096, db.len / 2, db.len - 4096, db.len - 1};

    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        store(f, "journal.db", db.data, lengths[i]);
        refused(f, lengths[i] < 100 ? "cut short" : "");
    }
    store(f, "journal.db", db.data, db.len);
    must_open(f);
    g_free(db.data);
    fixture_free(f);
}

static void fault_55_overwritten_pages_are_refused(void **state_in) {
    struct fixture *f = closed();
    struct bytes db = load(f, "journal.db");

    for (gsize at = 0; at < db.len; at += 4096) {
        char *bad = g_memdup2(db.data, db.len);
        memset(bad + at, 0xa5, 512);
        store(f, "journal.db", bad, db.len);
        refused(f, at ? "" : "overwritten");
        g_free(bad);
    }
    g_free(db.data);
    fixture_free(f);
}

static void fault_55_a_flipped_bit_in_the_header_is_refused_or_harmless(void **state_in) {
    struct fixture *f = closed();
    struct bytes db = load(f, "journal.db");

    must_open(f);
    g_autofree char *expected = scenario_snapshot(f);
    state_close(f->st);
    f->st = NULL;
    for (gsize at = 0; at < 100; at++) {
        char *bad = g_memdup2(db.data, db.len);
        bad[at] ^= 0x10;
        store(f, "journal.db", bad, db.len);
        error *err = try_open(f);
        if (err) {
            assert_int_equal(err->code, ERROR_STATE);
            error_free(err);
        } else {
            g_autofree char *found = scenario_snapshot(f);
            assert_string_equal(found, expected);
            state_close(f->st);
            f->st = NULL;
        }
        erase(f, "journal.db-wal");
        g_free(bad);
    }
    g_free(db.data);
    fixture_free(f);
}

static void fault_55_a_lost_or_garbled_log_is_refused(void **state_in) {
    struct fixture *f = crashed();
    struct bytes wal = load(f, "journal.db-wal"), db = load(f, "journal.db");
    g_autofree char *garbage = g_malloc(wal.len);

    assert_true(wal.len > 10 * 4096);
    erase(f, "journal.db-wal");
    refused(f, "wal is missing");
    store(f, "journal.db-wal", "", 0);
    refused(f, "wal is missing");
    memset(garbage, 'g', wal.len);
    store(f, "journal.db-wal", garbage, wal.len);
    refused(f, "wal is corrupt");
    memset(garbage, 0, wal.len);
    store(f, "journal.db-wal", garbage, wal.len);
    refused(f, "wal is corrupt");
    store(f, "journal.db-wal", wal.data, wal.len);
    erase(f, "journal.db");
    refused(f, "only its write-ahead log is left");
    store(f, "journal.db", db.data, db.len);
    must_open(f);
    g_free(wal.data);
    g_free(db.data);
    fixture_free(f);
}

static bool is_one_of(const char *found, char *const expected[], int n) {
    for (int i = 0; i < n; i++) {
        if (strcmp(found, expected[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A flip in the last transaction cannot be told from a crash while it was written; every other one can. */
static void fault_55_a_flipped_byte_in_the_log_never_takes_back_more_than_its_end(void **state_in) {
    struct fixture *f = crashed();
    struct bytes wal = load(f, "journal.db-wal"), db = load(f, "journal.db");
    char *expected[SCENARIO_STEPS + 1];
    struct fixture *whole = fixture_new();
    int refusals = 0, opened = 0;

    must_open(whole);
    scenario_expect(whole, expected);
    fixture_free(whole); /* its thread must not be there when this process forks */
    for (gsize at = 0; at < wal.len; at += at < 200 ? 1 : 331) {
        wal.data[at] ^= 0x20;
        store(f, "journal.db", db.data, db.len);
        store(f, "journal.db-wal", wal.data, wal.len);
        error *err = try_open(f);
        if (err) {
            assert_int_equal(err->code, ERROR_STATE);
            error_free(err);
            refusals++;
        } else {
            g_autofree char *found = scenario_snapshot(f);
            assert_true(is_one_of(found, &expected[SCENARIO_STEPS - 1], 2));
            state_close(f->st);
            f->st = NULL;
            opened++;
        }
        wal.data[at] ^= 0x20;
    }
    assert_true(refusals > opened && opened > 0);
    scenario_free(expected);
    g_free(wal.data);
    g_free(db.data);
    fixture_free(f);
}

static void a_log_torn_at_its_end_is_an_ordinary_crash(void **state_in) {
    struct fixture *f = crashed();
    struct bytes wal = load(f, "journal.db-wal");

    store(f, "journal.db-wal", wal.data, wal.len - 100);
    must_open(f);
    assert_false(state_was_clean(f->st));
    g_free(wal.data);
    fixture_free(f);
}

static void set_pragma(struct fixture *f, gsize at, uint32_t value) {
    struct bytes db = load(f, "journal.db");
    uint32_t be = GUINT32_TO_BE(value);

    memcpy(db.data + at, &be, 4);
    store(f, "journal.db", db.data, db.len);
    g_free(db.data);
}

static void fault_55_a_newer_schema_is_refused_with_both_versions(void **state_in) {
    struct fixture *f = closed();

    set_pragma(f, 60, 1000); /* user_version */
    refused(f, "schema 1000, this one knows 2");
    set_pragma(f, 60, 2);
    must_open(f);
    fixture_free(f);
}

static void a_strangers_database_is_left_alone(void **state_in) {
    struct fixture *f = closed();

    set_pragma(f, 68, 0); /* application_id */
    refused(f, "no journal of mailruled");
    fixture_free(f);
}

static void a_directory_that_cannot_be_made_is_an_io_error(void **state_in) {
    struct fixture *f = fixture_new();
    char dir[sizeof f->dir];

    g_strlcpy(dir, f->dir, sizeof dir);
    store(f, "file", "", 0);
    g_strlcat(f->dir, "/file/state", sizeof f->dir);
    g_autoptr(error) err = try_open(f);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_IO);
    g_strlcpy(f->dir, dir, sizeof f->dir);
    fixture_free(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_55_a_database_cut_short_is_refused),
        cmocka_unit_test(fault_55_overwritten_pages_are_refused),
        cmocka_unit_test(fault_55_a_flipped_bit_in_the_header_is_refused_or_harmless),
        cmocka_unit_test(fault_55_a_lost_or_garbled_log_is_refused),
        cmocka_unit_test(fault_55_a_flipped_byte_in_the_log_never_takes_back_more_than_its_end),
        cmocka_unit_test(a_log_torn_at_its_end_is_an_ordinary_crash),
        cmocka_unit_test(fault_55_a_newer_schema_is_refused_with_both_versions),
        cmocka_unit_test(a_strangers_database_is_left_alone),
        cmocka_unit_test(a_directory_that_cannot_be_made_is_an_io_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
