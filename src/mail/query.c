#include "view_priv.h"

static const char *const none[] = {NULL};
static const char *const from[] = {"From", NULL};
static const char *const to[] = {"To", NULL};
static const char *const cc[] = {"Cc", NULL};
static const char *const bcc[] = {"Bcc", NULL};
static const char *const reply_to[] = {"Reply-To", NULL};
static const char *const sender[] = {"Sender", NULL};
static const char *const recipient[] = {"To",          "Cc",              "Bcc",
                                        "Delivered-To", "X-Original-To",  "Envelope-To",
                                        "X-Envelope-To", "Original-Recipient", "Apparently-To", NULL};
static const char *const subject[] = {"Subject", NULL};
static const char *const date[] = {"Date", NULL};
static const char *const message_id[] = {"Message-ID", NULL};
static const char *const in_reply_to[] = {"In-Reply-To", NULL};
static const char *const references[] = {"References", NULL};
static const char *const list_id[] = {"List-Id", NULL};
static const char *const thread_key[] = {"References", "In-Reply-To", "Message-ID", NULL};
static const char *const identity[] = {"Message-ID", "Date", "From", "To", "Subject", NULL};
static const char *const bounce[] = {"Return-Path",         "From",    "Content-Type", "X-Failed-Recipients",
                                     "X-MS-Exchange-Message-Is-Ndr", "Subject", NULL};
static const char *const automatic[] = {
    "Return-Path",       "From",          "Content-Type",    "X-Failed-Recipients",   "X-MS-Exchange-Message-Is-Ndr",
    "Subject",           "Auto-Submitted", "Precedence",     "X-Precedence",          "X-Autoreply",
    "X-Autorespond",     "X-Auto-Reply",  "X-Autoreply-From", "X-Auto-Reply-From",    "X-Mail-Autoreply",
    "X-Auto-Response",   "X-FC-MachineGenerated", "X-Cron-Env", "X-POST-MessageClass", "Preference",
    "Delivered-To",      NULL};
static const char *const list[] = {"List-Id",        "List-Post",       "List-Unsubscribe", "List-Subscribe",
                                   "List-Help",      "List-Owner",      "List-Archive",     "Mailing-List",
                                   "X-Mailing-List", "X-Mailman-Version", "X-BeenThere",    "X-ML-Name",
                                   "X-Listserver",   "X-Google-Group-Id", "Precedence",     "X-Precedence",
                                   "Sender",         NULL};
static const char *const reply[] = {"In-Reply-To", "References", "Subject", NULL};
static const char *const content_type[] = {"Content-Type", NULL};

static const struct {
    enum mail_need_kind need;
    const char *const *fields;
} queries[MAIL_QUERIES] = {
    [MAIL_FROM] = {MAIL_NEED_FIELDS, from},
    [MAIL_TO] = {MAIL_NEED_FIELDS, to},
    [MAIL_CC] = {MAIL_NEED_FIELDS, cc},
    [MAIL_BCC] = {MAIL_NEED_FIELDS, bcc},
    [MAIL_REPLY_TO] = {MAIL_NEED_FIELDS, reply_to},
    [MAIL_SENDER] = {MAIL_NEED_FIELDS, sender},
    [MAIL_RECIPIENT] = {MAIL_NEED_FIELDS, recipient},
    [MAIL_SUBJECT] = {MAIL_NEED_FIELDS, subject},
    [MAIL_DATE] = {MAIL_NEED_FIELDS, date},
    [MAIL_MESSAGE_ID] = {MAIL_NEED_FIELDS, message_id},
    [MAIL_IN_REPLY_TO] = {MAIL_NEED_FIELDS, in_reply_to},
    [MAIL_REFERENCES] = {MAIL_NEED_FIELDS, references},
    [MAIL_LIST_ID] = {MAIL_NEED_FIELDS, list_id},
    [MAIL_THREAD_KEY] = {MAIL_NEED_FIELDS, thread_key},
    [MAIL_IDENTITY] = {MAIL_NEED_FIELDS, identity},
    [MAIL_IS_AUTO] = {MAIL_NEED_FIELDS, automatic},
    [MAIL_IS_BOUNCE] = {MAIL_NEED_FIELDS, bounce},
    [MAIL_IS_LIST] = {MAIL_NEED_FIELDS, list},
    [MAIL_IS_REPLY] = {MAIL_NEED_FIELDS, reply},
    [MAIL_IS_ENCRYPTED] = {MAIL_NEED_FIELDS, content_type},
    [MAIL_IS_SIGNED] = {MAIL_NEED_FIELDS, content_type},
    [MAIL_HEADERS] = {MAIL_NEED_HEADER, none},
    [MAIL_TEXT] = {MAIL_NEED_STRUCTURE, none},
    [MAIL_HTML] = {MAIL_NEED_STRUCTURE, none},
    [MAIL_REPLY_TEXT] = {MAIL_NEED_STRUCTURE, none},
    [MAIL_ATTACHMENTS] = {MAIL_NEED_STRUCTURE, none},
    [MAIL_STRUCTURE] = {MAIL_NEED_STRUCTURE, none},
    [MAIL_RAW] = {MAIL_NEED_RAW, none},
};

enum mail_need_kind mail_query_need(enum mail_query query) {
    return (unsigned)query < MAIL_QUERIES ? queries[query].need : MAIL_NEED_NOTHING;
}

const char *const *mail_query_fields(enum mail_query query) {
    return (unsigned)query < MAIL_QUERIES ? queries[query].fields : none;
}
