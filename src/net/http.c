#include "http_priv.h"
#include "net/address.h"

#include <string.h>
#include <sys/socket.h>

#define CONNECTIONS 256L
#define CONNECTIONS_KEPT 32L

/* --- libcurl asks ----------------------------------------------------------------------------------------------- */

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *addr) {
    http_call *call = user;
    const char *special = address_special(&addr->addr);

    (void)purpose;
    if (special && !call->allow_private) {
        char text[ADDRESS_TEXT_MAX];

        address_format(&addr->addr, text);
        g_free(call->refused);
        call->refused = g_strdup_printf("%s (%s) is not allowed", text, special);
        return CURL_SOCKET_BAD;
    }
    call->opened++;
    return socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
}

static CURLcode setup_ctx(CURL *easy, void *ctx, void *user) {
    http_call *call = user;

    (void)easy;
    tls_setup_ctx(ctx, call->store, &call->verdict);
    return CURLE_OK;
}

static void clear_headers(http_call *call) {
    g_ptr_array_set_size(call->response_headers, 0);
}

static size_t got_header(char *bytes, size_t size, size_t count, void *user) {
    http_call *call = user;
    size_t len = size * count;
    g_autofree char *line = NULL;
    char *colon;

    call->header_bytes += len; /* those of interim responses too */
    if (call->header_bytes > HTTP_RESPONSE_HEADER_MAX) {
        call->too_large = true;
        return 0;
    }
    line = g_strndup(bytes, len);
    if (g_str_has_prefix(line, "HTTP/")) {
        clear_headers(call);
    } else if ((colon = strchr(line, ':'))) {
        *colon = '\0';
        g_ptr_array_add(call->response_headers, g_ascii_strdown(line, -1));
        g_ptr_array_add(call->response_headers, g_strdup(g_strstrip(colon + 1)));
    }
    return len;
}

static size_t got_body(char *bytes, size_t size, size_t count, void *user) {
    http_call *call = user;
    size_t len = size * count;

    if (len > call->max_response - call->response->len) {
        call->too_large = true;
        return 0;
    }
    g_byte_array_append(call->response, (const guint8 *)bytes, (guint)len);
    return len;
}

/* --- life of a call --------------------------------------------------------------------------------------------- */

static void call_free(http_call *call) {
    if (call->group) {
        curl_multi_remove_handle(call->group->multi.handle, call->easy);
        g_queue_unlink(&call->client->calls, &call->link);
    }
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    g_clear_pointer(&call->body, g_bytes_unref);
    X509_STORE_free(call->store);
    tls_verdict_release(&call->verdict);
    loop_timer_free(call->deadline);
    g_free(call->host);
    g_free(call->refused);
    g_byte_array_unref(call->response);
    g_ptr_array_free(call->response_headers, TRUE);
    g_free(call);
}

void http_cancel(http_call *call) {
    if (call && !call->finished) {
        call_free(call);
    }
}

/* Takes err; ends the call. */
static void finish(http_call *call, enum http_outcome outcome, error *err) {
    http_result result = {.outcome = outcome, .err = error_prefix(err, "%s", call->host)};
    const char *retry_after;
    long status = 0;

    call->finished = true;
    g_ptr_array_add(call->response_headers, NULL);
    if (outcome == HTTP_ANSWERED || outcome == HTTP_TOO_LARGE) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    }
    result.status = (int)status;
    result.headers = (const char *const *)call->response_headers->pdata;
    result.body = call->response->data ? call->response->data : (const uint8_t *)"";
    result.body_len = call->response->len;
    retry_after = http_header(&result, "retry-after");
    result.retry_after_ms =
        retry_after ? http_parse_retry_after(retry_after, clock_wall_ms(loop_clock(call->client->loop))) : 0;
    result.took_ms = loop_now(call->client->loop) - call->started;
    call->done(call->user, &result);
    error_free(err);
    call_free(call);
}

static void transfer_ended(void *user, CURL *easy, CURLcode code) {
    http_call *call = NULL;
    const char *text;

    (void)user;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    text = call->errbuf[0] ? call->errbuf : curl_easy_strerror(code);
    if (code == CURLE_OK) {
        finish(call, HTTP_ANSWERED, NULL);
    } else if (call->too_large || code == CURLE_FILESIZE_EXCEEDED) {
        finish(call, HTTP_TOO_LARGE,
               error_new(ERROR_LIMIT, "the response is larger than %zu bytes, or its header than %d",
                         call->max_response, HTTP_RESPONSE_HEADER_MAX));
    } else if (call->refused && !call->opened) {
        finish(call, HTTP_REFUSED, error_new(ERROR_PERMISSION, "%s", call->refused));
    } else if (tls_is_failure(code)) {
        error *err = tls_failure(&call->verdict, call->host, text);

        finish(call, err->code == ERROR_TLS ? HTTP_TLS : HTTP_NETWORK, err);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        finish(call, HTTP_TIMEOUT, error_new(ERROR_NETWORK, "%s", text));
    } else {
        finish(call, HTTP_NETWORK, error_new(ERROR_NETWORK, "%s", text));
    }
}

static void deadline_passed(void *user) {
    http_call *call = user;

    finish(call, HTTP_TIMEOUT, error_new(ERROR_NETWORK, "no complete answer after %" G_GUINT64_FORMAT " ms",
                                         call->timeout_ms));
}

/* --- client ----------------------------------------------------------------------------------------------------- */

static void group_free(void *data) {
    http_group *group = data;

    multi_release(&group->multi);
    g_free(group);
}

static http_group *group_for(http_client *client, const http_request *request) {
    char *key = g_strconcat(request->allow_private ? "private " : "public ", request->tls_ca, NULL);
    http_group *group = g_hash_table_lookup(client->groups, key);

    if (group) {
        g_free(key);
        return group;
    }
    group = g_new0(http_group, 1);
    group->client = client;
    multi_init(&group->multi, client->loop);
    group->multi.ended = transfer_ended;
    curl_multi_setopt(group->multi.handle, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
    curl_multi_setopt(group->multi.handle, CURLMOPT_MAX_TOTAL_CONNECTIONS, CONNECTIONS);
    g_hash_table_insert(client->groups, key, group);
    return group;
}

static void set_callbacks(http_call *call) {
    CURL *easy = call->easy;

    tls_setup_easy(easy);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->errbuf);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, setup_ctx);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, got_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, got_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
}

error *http_start(http_client *client, const http_request *request, http_done_fn done, void *user,
                  http_call **call_out) {
    http_call *call = g_new0(http_call, 1);
    http_group *group;
    error *err;

    *call = (http_call){.client = client, .easy = curl_easy_init(), .done = done, .user = user};
    call->link.data = call;
    call->response = g_byte_array_new();
    call->response_headers = g_ptr_array_new_with_free_func(g_free);
    call->deadline = loop_timer_new(client->loop, deadline_passed, call);
    call->started = loop_now(client->loop);
    err = call->easy ? http_apply(call, request) : error_new(ERROR_NETWORK, "libcurl: out of memory");
    err = err ? err : tls_trust_store(client->trust, request->tls_ca, &call->store);
    if (!err) {
        group = group_for(client, request);
        set_callbacks(call);
        err = multi_add(&group->multi, call->easy);
    }
    if (err) {
        call_free(call);
        return err;
    }
    call->group = group;
    g_queue_push_tail_link(&client->calls, &call->link);
    loop_timer_start(call->deadline, call->timeout_ms);
    if (call_out) {
        *call_out = call;
    }
    return NULL;
}

error *http_client_new(event_loop *loop, tls_trust *trust, http_client **client_out) {
    http_client *client = g_new0(http_client, 1);

    curl_global_init(CURL_GLOBAL_DEFAULT);
    *client = (http_client){.loop = loop, .trust = trust};
    client->groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, group_free);
    g_queue_init(&client->calls);
    *client_out = client;
    return NULL;
}

void http_client_free(http_client *client) {
    if (client) {
        while (client->calls.head) {
            call_free(client->calls.head->data);
        }
        g_hash_table_unref(client->groups);
        curl_global_cleanup();
        g_free(client);
    }
}

/* --- results ---------------------------------------------------------------------------------------------------- */

const char *http_header(const http_result *result, const char *name) {
    for (const char *const *h = result->headers; h[0]; h += 2) {
        if (strcmp(h[0], name) == 0) {
            return h[1];
        }
    }
    return NULL;
}

uint64_t http_parse_retry_after(const char *value, int64_t wall_ms) {
    guint64 seconds;
    time_t when;
    int64_t wait;

    if (value[strspn(value, "0123456789")] == '\0') {
        if (!*value) {
            return 0;
        }
        /* More digits than fit are still "long". */
        return g_ascii_string_to_unsigned(value, 10, 0, HTTP_RETRY_AFTER_MAX_MS / 1000, &seconds, NULL)
                   ? seconds * 1000
                   : HTTP_RETRY_AFTER_MAX_MS;
    }
    when = curl_getdate(value, NULL);
    if (when < 0) {
        return 0;
    }
    wait = (int64_t)when * 1000 - wall_ms;
    return wait <= 0 ? 0 : MIN((uint64_t)wait, HTTP_RETRY_AFTER_MAX_MS);
}

const char *http_outcome_name(enum http_outcome outcome) {
    static const char *const names[HTTP_OUTCOMES] = {
        [HTTP_ANSWERED] = "answered", [HTTP_NETWORK] = "network", [HTTP_TIMEOUT] = "timeout",
        [HTTP_TLS] = "tls", [HTTP_REFUSED] = "refused", [HTTP_TOO_LARGE] = "too-large",
    };

    return (unsigned)outcome < HTTP_OUTCOMES ? names[outcome] : "unknown";
}
