#include "base/error.h"

#include "base/text.h"

#include <string.h>

static const struct {
    const char *name;
    enum error_class class_;
    enum error_retry retry;
} codes[ERROR_CODES] = {
    [ERROR_NETWORK] = {"network", ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    [ERROR_TLS] = {"tls", ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    [ERROR_AUTH] = {"auth", ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    [ERROR_BUSY] = {"busy", ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    [ERROR_PROTOCOL] = {"protocol", ERROR_CLASS_ACCOUNT, ERROR_RETRY_LATER},
    [ERROR_REFUSED] = {"refused", ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER},
    [ERROR_GONE] = {"gone", ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    [ERROR_NO_FOLDER] = {"no-folder", ERROR_CLASS_FOLDER, ERROR_RETRY_LATER},
    [ERROR_PERMISSION] = {"permission", ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    [ERROR_QUOTA] = {"quota", ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER},
    [ERROR_LIMIT] = {"limit", ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    [ERROR_INVALID] = {"invalid", ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    [ERROR_CONFIG] = {"config", ERROR_CLASS_PROCESS, ERROR_RETRY_NEVER},
    [ERROR_RULE] = {"rule", ERROR_CLASS_MESSAGE, ERROR_RETRY_NEVER},
    [ERROR_DEADLINE] = {"deadline", ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER},
    [ERROR_STATE] = {"state", ERROR_CLASS_PROCESS, ERROR_RETRY_NEVER},
    [ERROR_IO] = {"io", ERROR_CLASS_PROCESS, ERROR_RETRY_LATER},
    [ERROR_CANCELLED] = {"cancelled", ERROR_CLASS_MESSAGE, ERROR_RETRY_LATER},
    [ERROR_INTERNAL] = {"internal", ERROR_CLASS_PROCESS, ERROR_RETRY_NEVER},
};

const char *error_code_name(enum error_code code) {
    return (unsigned)code < ERROR_CODES ? codes[code].name : "unknown";
}

/* Takes text. */
static char *cut(char *text) {
    if (strlen(text) > ERROR_TEXT_MAX) {
        text[ERROR_TEXT_MAX] = '\0';
    }
    return text;
}

error *error_new(enum error_code code, const char *format, ...) {
    error *err = g_new0(error, 1);
    va_list args;

    va_start(args, format);
    err->text = cut(g_strdup_vprintf(format, args));
    va_end(args);
    err->code = code;
    err->class_ = codes[code].class_;
    err->retry = codes[code].retry;
    return err;
}

void error_free(error *err) {
    if (!err) {
        return;
    }
    g_free(err->account);
    g_free(err->folder);
    g_free(err->rule);
    g_free(err->text);
    g_free(err);
}

error *error_prefix(error *err, const char *format, ...) {
    va_list args;
    char *front, *text;

    if (!err) {
        return NULL;
    }
    va_start(args, format);
    front = g_strdup_vprintf(format, args);
    va_end(args);
    text = g_strconcat(front, ": ", err->text, NULL);
    g_free(front);
    g_free(err->text);
    err->text = cut(text);
    return err;
}

error *error_at(error *err, const char *account, const char *folder, uint32_t uid, const char *rule) {
    if (!err) {
        return NULL;
    }
    if (!err->account) {
        err->account = g_strdup(account);
    }
    if (!err->folder) {
        err->folder = g_strdup(folder);
    }
    if (!err->rule) {
        err->rule = g_strdup(rule);
    }
    if (!err->uid) {
        err->uid = uid;
    }
    return err;
}

error *error_set_scope(error *err, enum error_class class_, enum error_retry retry) {
    if (err) {
        err->class_ = class_;
        err->retry = retry;
    }
    return err;
}

error *error_copy(const error *err) {
    error *copy;

    if (!err) {
        return NULL;
    }
    copy = g_memdup2(err, sizeof *err);
    copy->account = g_strdup(err->account);
    copy->folder = g_strdup(err->folder);
    copy->rule = g_strdup(err->rule);
    copy->text = g_strdup(err->text);
    return copy;
}

char *error_format(const error *err) {
    GString *out;

    if (!err) {
        return g_strdup("ok");
    }
    out = g_string_new(NULL);
    if (err->account) {
        text_append_escaped(out, err->account, -1);
    }
    if (err->folder) {
        g_string_append_c(out, '/');
        text_append_escaped(out, err->folder, -1);
    }
    if (err->uid) {
        g_string_append_printf(out, "/%u", err->uid);
    }
    if (err->rule) {
        g_string_append(out, out->len ? " rule " : "rule ");
        text_append_escaped(out, err->rule, -1);
    }
    if (out->len) {
        g_string_append(out, ": ");
    }
    text_append_escaped(out, err->text, -1);
    return g_string_free(out, FALSE);
}
