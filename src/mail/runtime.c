#include "mail/runtime.h"

#include "charset_priv.h"

#include <gmime/gmime.h>
#include <iconv.h>
#include <time.h>

struct mail_runtime {
    GArray *descriptors; /* iconv_t; open, so that their modules stay loaded */
};

/* Dates are read once for the time zones that GLib sets up on first use. */
static void warm_up_dates(void) {
    GDateTime *date = g_mime_utils_header_decode_date("Mon, 2 Jan 2006 15:04:05 +0100 (CET)");
    GDateTime *named = g_mime_utils_header_decode_date("Mon, 2 Jan 2006 15:04:05 EST");

    g_clear_pointer(&date, g_date_time_unref);
    g_clear_pointer(&named, g_date_time_unref);
}

mail_runtime *mail_runtime_new(void) {
    mail_runtime *runtime = g_new0(mail_runtime, 1);

    g_mime_init();
    tzset();
    runtime->descriptors = g_array_new(FALSE, FALSE, sizeof(iconv_t));
    for (const char *const *name = charset_common; *name; name++) {
        iconv_t cd = iconv_open("UTF-8", *name);
        if (cd != (iconv_t)-1) {
            g_array_append_val(runtime->descriptors, cd);
        }
    }
    warm_up_dates();
    return runtime;
}

size_t mail_runtime_charsets(const mail_runtime *runtime) {
    return runtime->descriptors->len;
}

void mail_runtime_free(mail_runtime *runtime) {
    if (!runtime) {
        return;
    }
    for (guint i = 0; i < runtime->descriptors->len; i++) {
        iconv_close(g_array_index(runtime->descriptors, iconv_t, i));
    }
    g_array_free(runtime->descriptors, TRUE); /* GMime stays: it cannot be started twice */
    g_free(runtime);
}
