#include "tests/unit/imap/wire.h"

#include "base/text.h"
#include "imap/mailbox.h"
#include "tests/unit/unit.h"

#include <stdio.h>

static const uint8_t zeros[8];

static imap_writer fresh(void) {
    imap_writer w;

    imap_writer_init(&w, zeros);
    return w;
}

#define TAG "aaaaaaaaaa"

/* Checks the wire text without the tag, which is TAG0, and frees everything. */
static void expect_wire(error *err, imap_command *command, const char *expected, const char *described, int line) {
    if (err) {
        char *text = error_format(err);
        fprintf(stderr, "line %d: refused: %s\n", line, text);
        g_free(text);
        error_free(err);
        _fail(__FILE__, line);
        return;
    }
    char *text = wire_text(command);
    const char *shown = g_str_has_prefix(text, TAG "0 ") ? text + strlen(TAG "0 ") : text;
    if (strcmp(shown, expected) != 0 || (described && strcmp(imap_command_describe(command), described) != 0)) {
        fprintf(stderr, "line %d\n--- got\n%s (%s)\n--- expected\n%s (%s)\n", line, shown,
                imap_command_describe(command), expected, described ? described : "");
        _fail(__FILE__, line);
    }
    g_free(text);
    imap_command_free(command);
}

#define EXPECT_SHOWN(call, expected, described)                                                                        \
    do {                                                                                                               \
        imap_writer w = fresh();                                                                                       \
        imap_command *command = NULL;                                                                                  \
        error *call_error = call;                                                                                      \
        (void)w;                                                                                                       \
        expect_wire(call_error, command, expected, described, __LINE__);                                               \
    } while (0)
#define EXPECT(call, expected) EXPECT_SHOWN(call, expected, NULL)

static imap_set uids(const char *text) {
    imap_set set = IMAP_SET_INIT;

    assert_null(imap_set_parse(&set, imap_str_of(text), 1000));
    return set;
}

static void commands_without_arguments(void **state) {
    (void)state;
    EXPECT_SHOWN(imap_command_capability(&w, &command), "CAPABILITY\r\n", "CAPABILITY");
    EXPECT(imap_command_noop(&w, &command), "NOOP\r\n");
    EXPECT(imap_command_logout(&w, &command), "LOGOUT\r\n");
    EXPECT(imap_command_starttls(&w, &command), "STARTTLS\r\n");
    EXPECT(imap_command_compress(&w, &command), "COMPRESS DEFLATE\r\n");
    EXPECT(imap_command_idle(&w, &command), "IDLE\r\n");
    EXPECT(imap_command_unselect(&w, &command), "UNSELECT\r\n");
    EXPECT(imap_command_expunge(&w, &command), "EXPUNGE\r\n");
    EXPECT(imap_command_namespace(&w, &command), "NAMESPACE\r\n");
    EXPECT(imap_command_notify_none(&w, &command), "NOTIFY NONE\r\n");
    EXPECT_SHOWN(imap_command_done(&command), "DONE\r\n", "DONE");
}

static void tags_count_up_and_are_told_from_others(void **state) {
    const uint8_t random[8] = {0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4};
    imap_writer w;
    imap_command *a = NULL, *b = NULL;
    uint32_t n = 99;

    (void)state;
    imap_writer_init(&w, random);
    assert_null(imap_command_noop(&w, &a));
    assert_null(imap_command_idle(&w, &b));
    assert_string_not_equal(imap_command_tag(a), imap_command_tag(b));
    assert_true(g_ascii_isalpha(imap_command_tag(a)[0]));
    assert_true(strlen(imap_command_tag(a)) < IMAP_TAG_MAX);
    assert_true(imap_tags_issued(&w.tags, imap_str_of(imap_command_tag(b)), &n));
    assert_int_equal(n, 1);
    imap_command_free(a);
    imap_command_free(b);
}

static void fault_04_a_tag_that_was_never_sent_is_known_as_such(void **state) {
    static const char *const wrong[] = {"",
                                        "A1",
                                        "a",
                                        TAG,
                                        TAG "1",
                                        TAG "00",
                                        TAG "-1",
                                        TAG "4294967296",
                                        TAG "99999999999999999999",
                                        TAG "0x",
                                        "baaaaaaaaa0",
                                        "AAAAAAAAAA0"};
    imap_writer w = fresh();
    imap_command *a = NULL;
    uint32_t n;

    (void)state;
    assert_false(imap_tags_issued(&w.tags, imap_str_of(TAG "0"), &n));
    assert_null(imap_command_noop(&w, &a));
    assert_true(imap_tags_issued(&w.tags, imap_str_of(TAG "0"), &n));
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        assert_false(imap_tags_issued(&w.tags, imap_str_of(wrong[i]), &n));
    }
    imap_command_free(a);
}

static void a_refused_command_uses_up_no_tag(void **state) {
    imap_writer w = fresh();
    imap_command *command = NULL;
    error *err = imap_command_select(&w, "a\nb", NULL, &command);

    (void)state;
    assert_int_equal(err->code, ERROR_INVALID);
    assert_string_equal(err->text, "SELECT: a folder name with control characters");
    assert_null(command);
    assert_int_equal(w.tags.next, 0);
    error_free(err);
}

static void login_hides_the_password(void **state) {
    (void)state;
    EXPECT_SHOWN(imap_command_login(&w, "joe@example.org", "pass word\"\\", &command),
                 "LOGIN joe@example.org \"pass word\\\"\\\\\"\r\n", "LOGIN joe@example.org ***");
    EXPECT_SHOWN(imap_command_login(&w, "jö", "pä", &command), "LOGIN {3}\r\n | jö {3}\r\n | pä\r\n", "LOGIN jö ***");
    EXPECT(imap_command_login(&w, "", "NIL", &command), "LOGIN \"\" \"NIL\"\r\n");
}

static void authenticate_with_and_without_initial_response(void **state) {
    imap_writer ir = fresh();
    imap_command *c = NULL;

    (void)state;
    EXPECT_SHOWN(imap_command_authenticate(&w, "PLAIN", ((imap_str){"\0joe\0pw", 7}), &command),
                 "AUTHENTICATE PLAIN\r\n | AGpvZQBwdw==\r\n", "AUTHENTICATE PLAIN ***");
    EXPECT(imap_command_authenticate(&w, "LOGIN", ((imap_str){NULL, 0}), &command), "AUTHENTICATE LOGIN\r\n");
    ir.sasl_ir = true;
    error *err = imap_command_authenticate(&ir, "PLAIN", (imap_str){"\0joe\0pw", 7}, &c);
    expect_wire(err, c, "AUTHENTICATE PLAIN AGpvZQBwdw==\r\n", "AUTHENTICATE PLAIN ***", __LINE__);
    ir = fresh();
    ir.sasl_ir = true;
    err = imap_command_authenticate(&ir, "EXTERNAL", (imap_str){"", 0}, &c);
    expect_wire(err, c, "AUTHENTICATE EXTERNAL =\r\n", NULL, __LINE__);
    EXPECT_SHOWN(imap_command_sasl_reply(((imap_str){"secret", 6}), &command), "c2VjcmV0\r\n", "***");
    EXPECT(imap_command_sasl_reply(((imap_str){"", 0}), &command), "\r\n");
    EXPECT(imap_command_sasl_cancel(&command), "*\r\n");
}

static void id_and_enable(void **state) {
    const char *const pairs[] = {"name", "mailruled", "version", "1\"0", NULL};
    const char *const words[] = {"CONDSTORE", "UTF8=ACCEPT", NULL};

    (void)state;
    EXPECT(imap_command_id(&w, pairs, &command), "ID (\"name\" \"mailruled\" \"version\" \"1\\\"0\")\r\n");
    EXPECT(imap_command_id(&w, NULL, &command), "ID NIL\r\n");
    EXPECT(imap_command_enable(&w, words, &command), "ENABLE CONDSTORE UTF8=ACCEPT\r\n");
}

static void listing_mailboxes(void **state) {
    const imap_list_options options = {.extended = true,
                                       .returns = IMAP_RETURN_SPECIAL_USE | IMAP_RETURN_SUBSCRIBED,
                                       .status = IMAP_STATUS_UIDNEXT | IMAP_STATUS_UIDVALIDITY};
    const imap_list_options special = {.extended = true, .select_special_use = true};
    const imap_list_options basic = {.returns = IMAP_RETURN_SPECIAL_USE};

    (void)state;
    EXPECT(imap_command_list(&w, "", "*", NULL, &command), "LIST \"\" \"*\"\r\n");
    EXPECT(imap_command_list(&w, "", "Entwürfe/%", &options, &command),
           "LIST \"\" \"Entw&APw-rfe/%\" RETURN (SPECIAL-USE SUBSCRIBED STATUS (UIDNEXT UIDVALIDITY))\r\n");
    EXPECT(imap_command_list(&w, "", "*", &special, &command), "LIST (SPECIAL-USE) \"\" \"*\"\r\n");
    EXPECT(imap_command_list(&w, "", "*", &basic, &command), "LIST \"\" \"*\"\r\n");
    EXPECT(imap_command_status(&w, "INBOX", IMAP_STATUS_MESSAGES | IMAP_STATUS_UIDNEXT, &command),
           "STATUS INBOX (MESSAGES UIDNEXT)\r\n");
}

static void opening_and_making_mailboxes(void **state) {
    imap_set known = uids("1:20,30");
    const imap_select_options condstore = {.condstore = true};
    const imap_select_options qresync = {.condstore = true,
                                         .qresync_uidvalidity = 67890007,
                                         .qresync_modseq = 20050715194045000,
                                         .qresync_known = &known};

    (void)state;
    EXPECT(imap_command_select(&w, "INBOX", NULL, &command), "SELECT INBOX\r\n");
    EXPECT(imap_command_select(&w, "a b", &condstore, &command), "SELECT \"a b\" (CONDSTORE)\r\n");
    EXPECT(imap_command_examine(&w, "[Gmail]/Spam", NULL, &command), "EXAMINE \"[Gmail]/Spam\"\r\n");
    EXPECT(imap_command_select(&w, "INBOX", &qresync, &command),
           "SELECT INBOX (QRESYNC (67890007 20050715194045000 1:20,30))\r\n");
    EXPECT(imap_command_create(&w, "台北", 0, &command), "CREATE &U,BTFw-\r\n");
    EXPECT(imap_command_create(&w, "Junk", IMAP_ATTR_JUNK, &command), "CREATE Junk (USE (\\Junk))\r\n");
    EXPECT(imap_command_delete(&w, "x", &command), "DELETE x\r\n");
    EXPECT(imap_command_subscribe(&w, "x", &command), "SUBSCRIBE x\r\n");
    imap_set_release(&known);
}

static void names_are_plain_utf8_once_that_is_enabled(void **state) {
    imap_writer w = fresh();
    imap_command *c = NULL;

    (void)state;
    w.utf8 = true;
    error *err = imap_command_select(&w, "R&D é", NULL, &c);
    expect_wire(err, c, "SELECT \"R&D é\"\r\n", "SELECT R&D é", __LINE__);
}

static void fetching(void **state) {
    const char *const fields[] = {"From", "List-Id", NULL};
    const imap_section_want sections[] = {
        {.kind = IMAP_SECTION_FIELDS, .fields = fields},
        {.kind = IMAP_SECTION_ALL, .part = "1.2", .length = 1024},
        {.kind = IMAP_SECTION_MIME, .part = "1.2"},
        {.kind = IMAP_SECTION_TEXT, .offset = 10, .length = 5},
        {.kind = IMAP_SECTION_ALL, .part = "3", .binary = true},
    };
    const imap_fetch_want want = {.items = IMAP_WANT_FLAGS | IMAP_WANT_SIZE | IMAP_WANT_GM_MSGID,
                                  .sections = sections,
                                  .section_count = G_N_ELEMENTS(sections)};
    const imap_fetch_want changes = {.items = IMAP_WANT_FLAGS, .changed_since = 12, .vanished = true};
    const imap_fetch_want nothing = {0};
    imap_set set = uids("3:4,8");

    (void)state;
    EXPECT_SHOWN(imap_command_uid_fetch(&w, &set, &want, &command),
                 "UID FETCH 3:4,8 (UID FLAGS RFC822.SIZE X-GM-MSGID BODY.PEEK[HEADER.FIELDS (From List-Id)] "
                 "BODY.PEEK[1.2]<0.1024> BODY.PEEK[1.2.MIME] BODY.PEEK[TEXT]<10.5> BINARY.PEEK[3])\r\n",
                 "UID FETCH 3:4,8 (UID FLAGS RFC822.SIZE X-GM-MSGID BODY.PEEK[HEADER.FIELDS (From List-Id)] "
                 "BODY.PEEK[1.2]<0.1024> BODY.PEEK[1.2.MIME] BODY.PEEK[TEXT]<10.5> BINARY.PEEK[3])");
    EXPECT(imap_command_uid_fetch(&w, &set, &changes, &command),
           "UID FETCH 3:4,8 (UID FLAGS) (CHANGEDSINCE 12 VANISHED)\r\n");
    EXPECT(imap_command_uid_fetch_from(&w, 4294967295, &nothing, &command), "UID FETCH 4294967295:* (UID)\r\n");
    imap_set_release(&set);
}

static void storing_and_moving(void **state) {
    const char *const flags[] = {"\\Seen", "$Junk", NULL};
    const char *const labels[] = {"\\Important", "Müll", "a b", NULL};
    const imap_store add = {.how = IMAP_STORE_ADD, .silent = true, .names = flags};
    const imap_store unchanged = {.how = IMAP_STORE_REMOVE, .names = flags, .unchanged_since = 77};
    const imap_store clear = {.how = IMAP_STORE_SET};
    const imap_store label = {.how = IMAP_STORE_ADD, .gm_labels = true, .names = labels};
    imap_set set = uids("5");

    (void)state;
    EXPECT(imap_command_uid_store(&w, &set, &add, &command), "UID STORE 5 +FLAGS.SILENT (\\Seen $Junk)\r\n");
    EXPECT(imap_command_uid_store(&w, &set, &unchanged, &command),
           "UID STORE 5 (UNCHANGEDSINCE 77) -FLAGS (\\Seen $Junk)\r\n");
    EXPECT(imap_command_uid_store(&w, &set, &clear, &command), "UID STORE 5 FLAGS ()\r\n");
    EXPECT(imap_command_uid_store(&w, &set, &label, &command),
           "UID STORE 5 +X-GM-LABELS (\\Important M&APw-ll \"a b\")\r\n");
    EXPECT_SHOWN(imap_command_uid_move(&w, &set, "Tickets", &command), "UID MOVE 5 Tickets\r\n", "UID MOVE 5 Tickets");
    EXPECT(imap_command_uid_copy(&w, &set, "a/b c", &command), "UID COPY 5 \"a/b c\"\r\n");
    EXPECT(imap_command_uid_expunge(&w, &set, &command), "UID EXPUNGE 5\r\n");
    imap_set_release(&set);
}

static void searching(void **state) {
    imap_set set = uids("5:9");
    const imap_search_want all = {0};
    const imap_search_want id = {.uid_from = 7, .header = "Message-ID", .header_value = "<a\"b@c>"};
    const imap_search_want many = {.returns = IMAP_SEARCH_MIN | IMAP_SEARCH_FOUND,
                                   .uids = &set,
                                   .flags = IMAP_FLAG_SEEN,
                                   .not_flags = IMAP_FLAG_DELETED,
                                   .keyword = "$Junk",
                                   .unkeyword = "x",
                                   .since = 837596665,
                                   .before = 1709251200,
                                   .larger = 100,
                                   .modseq = 5};
    const imap_search_want eight = {.header = "Subject", .header_value = "é"};
    const imap_search_want ids = {.gm_msgid = "1278455344230334865", .email_id = "M6d-1"};

    (void)state;
    EXPECT(imap_command_uid_search(&w, &all, &command), "UID SEARCH ALL\r\n");
    EXPECT(imap_command_uid_search(&w, &id, &command), "UID SEARCH UID 7:* HEADER Message-ID \"<a\\\"b@c>\"\r\n");
    EXPECT(imap_command_uid_search(&w, &many, &command),
           "UID SEARCH RETURN (MIN ALL) UID 5:9 SEEN UNDELETED KEYWORD $Junk UNKEYWORD x SINCE 17-Jul-1996 "
           "BEFORE 1-Mar-2024 LARGER 100 MODSEQ 5\r\n");
    EXPECT(imap_command_uid_search(&w, &eight, &command),
           "UID SEARCH CHARSET UTF-8 ALL HEADER Subject {2}\r\n | é\r\n");
    EXPECT(imap_command_uid_search(&w, &ids, &command),
           "UID SEARCH ALL X-GM-MSGID 1278455344230334865 EMAILID M6d-1\r\n");
    imap_set_release(&set);
}

static void appending(void **state) {
    const char *const flags[] = {"\\Seen", NULL};
    const imap_append full = {
        .mailbox = "Sent", .flags = flags, .has_date = true, .date = 837596665, .message = {"A: b\r\n\r\nx\r\n", 11}};
    imap_writer plus = fresh();
    imap_command *c = NULL;

    (void)state;
    EXPECT_SHOWN(imap_command_append(&w, &full, &command),
                 "APPEND Sent (\\Seen) \"17-Jul-1996 09:44:25 +0000\" {11}\r\n | A: b\r\n\r\nx\r\n\r\n",
                 "APPEND Sent (\\Seen) \"17-Jul-1996 09:44:25 +0000\" {11}");
    plus.literal_plus = true;
    error *err = imap_command_append(&plus, &full, &c);
    expect_wire(err, c, "APPEND Sent (\\Seen) \"17-Jul-1996 09:44:25 +0000\" {11+}\r\nA: b\r\n\r\nx\r\n\r\n", NULL,
                __LINE__);
}

static void literal_minus_holds_for_4096_octets(void **state) {
    char *text = g_strnfill(4097, 'x');

    (void)state;
    for (size_t n = 4096; n <= 4097; n++) {
        imap_writer w = fresh();
        imap_command *c = NULL;
        w.literal_minus = true;
        assert_null(imap_command_append(&w, &(imap_append){.mailbox = "a", .message = {text, n}}, &c));
        assert_int_equal(imap_command_segments(c), n == 4096 ? 1 : 2);
        assert_null(wire_fault(c, false));
        imap_command_free(c);
    }
    g_free(text);
}

static void notify_names_what_to_watch(void **state) {
    const char *const fields[] = {"From", NULL};
    const imap_section_want section = {.kind = IMAP_SECTION_FIELDS, .fields = fields};
    const imap_fetch_want want = {.items = IMAP_WANT_FLAGS, .sections = &section, .section_count = 1};
    const char *const mailboxes[] = {"Work", "a b", NULL};
    const imap_notify notify = {.status = true,
                                .selected = true,
                                .delayed = true,
                                .selected_want = &want,
                                .flag_changes = true,
                                .mailboxes = mailboxes,
                                .names = true};

    (void)state;
    EXPECT(imap_command_notify(&w, &notify, &command),
           "NOTIFY SET STATUS (selected-delayed (MessageNew (UID FLAGS BODY.PEEK[HEADER.FIELDS (From)]) MessageExpunge "
           "FlagChange)) (mailboxes (Work \"a b\") (MessageNew MessageExpunge)) (personal (MailboxName))\r\n");
    EXPECT(imap_command_notify(&w, &(imap_notify){.selected = true}, &command),
           "NOTIFY SET (selected (MessageNew MessageExpunge))\r\n");
    EXPECT(imap_command_notify(
               &w, &(imap_notify){.selected = true, .personal = true, .mailboxes = mailboxes, .names = true}, &command),
           "NOTIFY SET (selected (MessageNew MessageExpunge)) (personal (MessageNew MessageExpunge MailboxName))\r\n");
    EXPECT(imap_command_notify(&w, &(imap_notify){.personal = true}, &command),
           "NOTIFY SET (personal (MessageNew MessageExpunge))\r\n");
}

static void list_asks_for_several_names_at_once(void **state) {
    const char *const names[] = {"Work", "a b", NULL};
    const imap_list_options options = {.extended = true, .status = IMAP_STATUS_UIDNEXT, .names = names};

    (void)state;
    EXPECT(imap_command_list(&w, "", "", &options, &command),
           "LIST \"\" (\"Work\" \"a b\") RETURN (STATUS (UIDNEXT))\r\n");
}

static void learning_capabilities_changes_how_literals_go_out(void **state) {
    imap_writer w = fresh();
    imap_capabilities caps;

    (void)state;
    imap_capabilities_parse(&caps, imap_str_of("IMAP4rev1 LITERAL+ SASL-IR"));
    imap_writer_learn(&w, &caps);
    assert_true(w.literal_plus && w.sasl_ir && !w.literal_minus && !w.utf8);
    imap_capabilities_parse(&caps, imap_str_of("IMAP4rev2"));
    imap_writer_learn(&w, &caps);
    assert_true(!w.literal_plus && w.sasl_ir && w.literal_minus);
}

/* ---- nobody gets a second command in ---- */

static const char *const hostile[] = {
    "x\r\nA1 DELETE INBOX",
    "x\nA1 DELETE INBOX",
    "x\rA1",
    "\r\n",
    "\"",
    "a\"b",
    "\\",
    "a\\",
    "{5+}",
    "x {5+}",
    "{3}",
    "a{3}",
    "*%",
    "(",
    ")",
    "a b",
    "caf\xc3\xa9",
    "\xff\xfe",
    "NIL",
    "",
    "\t",
    "\x01",
    "\x7f",
    "a\" BODY[] \"",
    "INBOX\" (CONDSTORE",
    "<id@x>\r\nA DELETE",
    "]",
    "a) (b",
    "~{1+}",
    "\\Seen\\",
    "\xe2\x80\xa8",
    "&",
};

static void check_one(error *err, imap_command **command_in, const char *what, const char *argument, bool utf8) {
    imap_command *command = *command_in;
    const char *fault = err ? NULL : wire_fault(command, utf8);

    if (fault) {
        char *shown = text_escape(argument, -1);
        char *bytes = wire_text(command);
        fprintf(stderr, "%s with \"%s\": %s\n%s\n", what, shown, fault, bytes);
        g_free(shown);
        g_free(bytes);
        fail();
    }
    if (err) {
        assert_int_equal(err->code, ERROR_INVALID);
    } else {
        for (const char *p = imap_command_describe(command); *p; p++) {
            assert_true((uint8_t)*p >= 0x20);
        }
        imap_command_free(command);
    }
    error_free(err);
}

static void try_all(imap_writer *w, const char *s) {
    const char *const one[] = {s, NULL}, *const two[] = {s, s, NULL};
    const imap_section_want fields = {.kind = IMAP_SECTION_FIELDS, .fields = one};
    const imap_section_want part = {.kind = IMAP_SECTION_ALL, .part = s};
    imap_set set = uids("1:3");
    imap_command *c = NULL;
    bool u = w->utf8;

    check_one(imap_command_login(w, s, s, &c), &c, "LOGIN", s, u);
    check_one(imap_command_authenticate(w, s, (imap_str){NULL, 0}, &c), &c, "AUTHENTICATE", s, u);
    check_one(imap_command_id(w, two, &c), &c, "ID", s, u);
    check_one(imap_command_enable(w, one, &c), &c, "ENABLE", s, u);
    check_one(imap_command_list(w, s, s, NULL, &c), &c, "LIST", s, u);
    check_one(imap_command_status(w, s, IMAP_STATUS_UIDNEXT, &c), &c, "STATUS", s, u);
    check_one(imap_command_select(w, s, NULL, &c), &c, "SELECT", s, u);
    check_one(imap_command_examine(w, s, NULL, &c), &c, "EXAMINE", s, u);
    check_one(imap_command_create(w, s, IMAP_ATTR_TRASH, &c), &c, "CREATE", s, u);
    check_one(imap_command_delete(w, s, &c), &c, "DELETE", s, u);
    check_one(imap_command_subscribe(w, s, &c), &c, "SUBSCRIBE", s, u);
    check_one(imap_command_uid_copy(w, &set, s, &c), &c, "COPY", s, u);
    check_one(imap_command_uid_move(w, &set, s, &c), &c, "MOVE", s, u);
    check_one(imap_command_uid_store(w, &set, &(imap_store){.names = one}, &c), &c, "STORE", s, u);
    check_one(imap_command_uid_store(w, &set, &(imap_store){.names = one, .gm_labels = true}, &c), &c, "labels", s, u);
    check_one(imap_command_uid_fetch(w, &set, &(imap_fetch_want){.sections = &fields, .section_count = 1}, &c), &c,
              "fields", s, u);
    check_one(imap_command_uid_fetch(w, &set, &(imap_fetch_want){.sections = &part, .section_count = 1}, &c), &c,
              "part", s, u);
    check_one(imap_command_uid_search(w, &(imap_search_want){.header = "Message-ID", .header_value = s}, &c), &c,
              "SEARCH", s, u);
    check_one(imap_command_uid_search(w, &(imap_search_want){.header = s, .header_value = "x"}, &c), &c, "SEARCH", s,
              u);
    check_one(imap_command_uid_search(w, &(imap_search_want){.keyword = s}, &c), &c, "KEYWORD", s, u);
    check_one(imap_command_uid_search(w, &(imap_search_want){.gm_msgid = s}, &c), &c, "X-GM-MSGID", s, u);
    check_one(imap_command_uid_search(w, &(imap_search_want){.email_id = s}, &c), &c, "EMAILID", s, u);
    check_one(imap_command_append(w, &(imap_append){.mailbox = s, .flags = one, .message = imap_str_of(s)}, &c), &c,
              "APPEND", s, u);
    check_one(imap_command_append(w, &(imap_append){.mailbox = "a", .message = imap_str_of(s)}, &c), &c, "APPEND", s,
              u);
    check_one(imap_command_notify(w, &(imap_notify){.mailboxes = one}, &c), &c, "NOTIFY", s, u);
    imap_set_release(&set);
}

static void fault_49_hostile_arguments_make_one_command_or_none(void **state) {
    (void)state;
    for (int way = 0; way < 8; way++) {
        imap_writer w = fresh();
        w.literal_plus = way & 1;
        w.literal_minus = way & 2;
        w.utf8 = way & 4;
        for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++) {
            try_all(&w, hostile[i]);
        }
        char *long_text = g_strnfill(9000, 'y');
        try_all(&w, long_text);
        g_free(long_text);
    }
}

static void refused(error *err, imap_command **command) {
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID);
    assert_null(*command);
    error_free(err);
}

static void fault_49_what_must_be_refused_is(void **state) {
    const char *const break_in[] = {"x\r\nA1 DELETE INBOX", NULL}, *const recent[] = {"\\Recent", NULL},
                      *const odd[] = {"a]b", NULL}, *const eight[] = {"caf\xc3\xa9", NULL}, *const none[] = {NULL},
                      *const wild[] = {"a%b", NULL};
    imap_writer w = fresh();
    imap_command *c = NULL;
    imap_set set = uids("1"), empty = IMAP_SET_INIT;
    const imap_section_want mime = {.kind = IMAP_SECTION_MIME}, zero = {.kind = IMAP_SECTION_ALL, .part = "0"},
                            dots = {.kind = IMAP_SECTION_ALL, .part = "1..2"},
                            fields = {.kind = IMAP_SECTION_FIELDS, .fields = none};

    (void)state;
    refused(imap_command_uid_move(&w, &set, break_in[0], &c), &c);
    refused(imap_command_uid_move(&w, &set, "", &c), &c);
    refused(imap_command_uid_move(&w, &empty, "a", &c), &c);
    refused(imap_command_uid_move(&w, &set, "\xff", &c), &c);
    refused(imap_command_login(&w, "joe", "a\nb", &c), &c);
    refused(imap_command_uid_store(&w, &set, &(imap_store){.names = break_in}, &c), &c);
    refused(imap_command_uid_store(&w, &set, &(imap_store){.names = recent}, &c), &c);
    refused(imap_command_uid_store(&w, &set, &(imap_store){.names = odd}, &c), &c);
    refused(imap_command_uid_store(&w, &set, &(imap_store){.names = eight}, &c), &c);
    refused(imap_command_uid_store(&w, &set, &(imap_store){.names = none}, &c), &c);
    refused(imap_command_uid_search(&w, &(imap_search_want){.header = "Message-ID", .header_value = "<a>\r\nA1 X"}, &c),
            &c);
    refused(imap_command_append(&w, &(imap_append){.mailbox = "a", .message = {"a\0b", 3}}, &c), &c);
    refused(imap_command_uid_fetch(&w, &set, &(imap_fetch_want){.sections = &mime, .section_count = 1}, &c), &c);
    refused(imap_command_uid_fetch(&w, &set, &(imap_fetch_want){.sections = &zero, .section_count = 1}, &c), &c);
    refused(imap_command_uid_fetch(&w, &set, &(imap_fetch_want){.sections = &dots, .section_count = 1}, &c), &c);
    refused(imap_command_uid_fetch(&w, &set, &(imap_fetch_want){.sections = &fields, .section_count = 1}, &c), &c);
    refused(imap_command_uid_fetch(&w, &set, &(imap_fetch_want){.vanished = true}, &c), &c);
    refused(imap_command_uid_fetch_from(&w, 0, &(imap_fetch_want){0}, &c), &c);
    refused(imap_command_notify(&w, &(imap_notify){.status = true}, &c), &c);
    refused(imap_command_list(&w, "", "", &(imap_list_options){.extended = true, .names = wild}, &c), &c);
    refused(imap_command_list(&w, "", "", &(imap_list_options){.extended = true, .names = wild + 1}, &c), &c);
    refused(imap_command_enable(&w, none, &c), &c);
    refused(imap_command_status(&w, "a", 0, &c), &c);
    refused(imap_command_create(&w, "a", IMAP_ATTR_NOSELECT, &c), &c);
    assert_int_equal(w.tags.next, 0);
    imap_set_release(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_without_arguments),
        cmocka_unit_test(tags_count_up_and_are_told_from_others),
        cmocka_unit_test(fault_04_a_tag_that_was_never_sent_is_known_as_such),
        cmocka_unit_test(a_refused_command_uses_up_no_tag),
        cmocka_unit_test(login_hides_the_password),
        cmocka_unit_test(authenticate_with_and_without_initial_response),
        cmocka_unit_test(id_and_enable),
        cmocka_unit_test(listing_mailboxes),
        cmocka_unit_test(opening_and_making_mailboxes),
        cmocka_unit_test(names_are_plain_utf8_once_that_is_enabled),
        cmocka_unit_test(fetching),
        cmocka_unit_test(storing_and_moving),
        cmocka_unit_test(searching),
        cmocka_unit_test(appending),
        cmocka_unit_test(literal_minus_holds_for_4096_octets),
        cmocka_unit_test(notify_names_what_to_watch),
        cmocka_unit_test(list_asks_for_several_names_at_once),
        cmocka_unit_test(learning_capabilities_changes_how_literals_go_out),
        cmocka_unit_test(fault_49_hostile_arguments_make_one_command_or_none),
        cmocka_unit_test(fault_49_what_must_be_refused_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
