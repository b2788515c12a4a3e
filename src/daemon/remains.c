#include "remains_priv.h"

#include <glib.h>

char *remains_of(const char *message_id) {
    return message_id ? g_strdup_printf("Message-ID: <%s>\r\n\r\n", message_id) : g_strdup("\r\n");
}
