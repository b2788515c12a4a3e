/* Commands of the connection: any state, login, waiting. */
#include "build_priv.h"

enum { ID_PAIRS = 30, ID_NAME = 30, ID_VALUE = 1024 };

static error *plain(imap_writer *w, const char *verb, imap_command **out) {
    return build_finish(build_start(w, verb), out);
}

error *imap_command_capability(imap_writer *w, imap_command **command_out) {
    return plain(w, "CAPABILITY", command_out);
}

error *imap_command_noop(imap_writer *w, imap_command **command_out) {
    return plain(w, "NOOP", command_out);
}

error *imap_command_logout(imap_writer *w, imap_command **command_out) {
    return plain(w, "LOGOUT", command_out);
}

error *imap_command_compress(imap_writer *w, imap_command **command_out) {
    build *b = build_start(w, "COMPRESS");

    put_text(b, " DEFLATE");
    return build_finish(b, command_out);
}

error *imap_command_starttls(imap_writer *w, imap_command **command_out) {
    return plain(w, "STARTTLS", command_out);
}

error *imap_command_namespace(imap_writer *w, imap_command **command_out) {
    return plain(w, "NAMESPACE", command_out);
}

error *imap_command_unselect(imap_writer *w, imap_command **command_out) {
    return plain(w, "UNSELECT", command_out);
}

error *imap_command_expunge(imap_writer *w, imap_command **command_out) {
    return plain(w, "EXPUNGE", command_out);
}

error *imap_command_idle(imap_writer *w, imap_command **command_out) {
    return plain(w, "IDLE", command_out);
}

error *imap_command_notify_none(imap_writer *w, imap_command **command_out) {
    return plain(w, "NOTIFY NONE", command_out);
}

error *imap_command_done(imap_command **command_out) {
    build *b = build_start(NULL, "DONE");

    put_text(b, "DONE");
    return build_finish(b, command_out);
}

error *imap_command_id(imap_writer *w, const char *const *pairs, imap_command **command_out) {
    build *b = build_start(w, "ID");

    if (!pairs || !pairs[0]) {
        put_text(b, " NIL");
        return build_finish(b, command_out);
    }
    for (size_t i = 0; pairs[i]; i += 2) {
        if (!pairs[i + 1] || i >= 2 * ID_PAIRS || strlen(pairs[i]) > ID_NAME || strlen(pairs[i + 1]) > ID_VALUE) {
            build_refuse(b, "the fields break the limits of RFC 2971");
            break;
        }
        put_text(b, i ? " " : " (");
        put_string(b, pairs[i]);
        put_text(b, " ");
        put_string(b, pairs[i + 1]);
    }
    put_text(b, ")");
    return build_finish(b, command_out);
}

error *imap_command_login(imap_writer *w, const char *user, const char *password, imap_command **command_out) {
    build *b = build_start(w, "LOGIN");

    put_text(b, " ");
    put_astring(b, user);
    put_text(b, " ");
    put_secret(b, password);
    return build_finish(b, command_out);
}

error *imap_command_authenticate(imap_writer *w, const char *mechanism, imap_str initial, imap_command **command_out) {
    build *b = build_start(w, "AUTHENTICATE");

    put_text(b, " ");
    put_atom(b, mechanism);
    if (!initial.data) {
        return build_finish(b, command_out);
    }
    if (!w->sasl_ir) {
        put_wait(b);
        put_base64(b, initial);
    } else if (initial.len) {
        put_text(b, " ");
        put_base64(b, initial);
    } else {
        put_text(b, " =");
    }
    return build_finish(b, command_out);
}

error *imap_command_sasl_reply(imap_str raw, imap_command **command_out) {
    build *b = build_start(NULL, "SASL reply");

    put_base64(b, raw);
    return build_finish(b, command_out);
}

error *imap_command_sasl_cancel(imap_command **command_out) {
    build *b = build_start(NULL, "SASL cancel");

    put_text(b, "*");
    return build_finish(b, command_out);
}

error *imap_command_enable(imap_writer *w, const char *const *words, imap_command **command_out) {
    build *b = build_start(w, "ENABLE");

    if (!words[0]) {
        build_refuse(b, "nothing to enable");
    }
    for (; *words; words++) {
        put_text(b, " ");
        put_atom(b, *words);
    }
    return build_finish(b, command_out);
}
