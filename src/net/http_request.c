#include "http_priv.h"

#include <string.h>

#define TIMEOUT_MS 30000
#define CONNECT_MS 10000
#define MAX_RESPONSE (1024 * 1024)
#define CONNECTION_IDLE_S 60L
#define CONNECTION_LIFE_S 300L

static bool is_token(const char *s) {
    size_t len = strspn(s, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    return len > 0 && s[len] == '\0';
}

/* RFC 9110 section 5.5: no CR, LF or other control but tab. */
static bool is_value(const char *value) {
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
            return false;
        }
    }
    return true;
}

/* How the message is framed is libcurl's to say: two opinions about it are request smuggling. */
static bool is_framing(const char *name) {
    static const char *const framing[] = {"content-length", "transfer-encoding", "connection", "upgrade",
                                          "te", "trailer", "keep-alive", "proxy-connection", "expect"};

    for (size_t i = 0; i < G_N_ELEMENTS(framing); i++) {
        if (g_ascii_strcasecmp(name, framing[i]) == 0) {
            return true;
        }
    }
    return false;
}

static error *add_header(http_call *call, const char *name, const char *value) {
    g_autofree char *line = NULL;

    if (!is_token(name)) {
        return error_new(ERROR_INVALID, "not a header name: %s", name);
    }
    if (is_framing(name)) {
        return error_new(ERROR_INVALID, "header %s is not for requests to set", name);
    }
    if (!value || !is_value(value)) {
        return error_new(ERROR_INVALID, "value of header %s holds a line break or control character", name);
    }
    value += strspn(value, " \t");
    line = *value ? g_strdup_printf("%s: %s", name, value) : g_strdup_printf("%s;", name); /* libcurl's "empty" */
    call->headers = curl_slist_append(call->headers, line);
    return NULL;
}

static error *apply_headers(http_call *call, const http_request *request) {
    bool typed = false;
    size_t count = 0;

    for (const char *const *h = request->headers; h && h[0]; h += 2) {
        error *err = ++count > HTTP_HEADERS_MAX ? error_new(ERROR_INVALID, "more than %d headers", HTTP_HEADERS_MAX)
                                                : add_header(call, h[0], h[1]);

        if (err) {
            return err;
        }
        typed |= g_ascii_strcasecmp(h[0], "content-type") == 0;
    }
    call->headers = curl_slist_append(call->headers, "Expect:");
    if (!typed) {
        call->headers = curl_slist_append(call->headers, "Content-Type:"); /* not libcurl's form default */
    }
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    return NULL;
}

static error *apply_url(http_call *call, const char *url) {
    CURLU *parts;
    CURLUcode code;
    char *scheme = NULL, *host = NULL;
    error *err = NULL;

    if (!url || strlen(url) > HTTP_URL_MAX) {
        return error_new(ERROR_INVALID, url ? "URL longer than %d bytes" : "no URL", HTTP_URL_MAX);
    }
    parts = curl_url();
    code = curl_url_set(parts, CURLUPART_URL, url, CURLU_DISALLOW_USER);
    code = code ? code : curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
    code = code ? code : curl_url_get(parts, CURLUPART_HOST, &host, 0);
    if (code) {
        err = error_new(ERROR_INVALID, "URL: %s", curl_url_strerror(code));
    } else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0) {
        err = error_new(ERROR_INVALID, "URL: neither http nor https but %s", scheme);
    } else {
        call->host = g_strdup(host);
        curl_easy_setopt(call->easy, CURLOPT_URL, url);
    }
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    return err;
}

static error *apply_method(http_call *call, const http_request *request) {
    const char *method = request->method ? request->method : "GET";

    if (!is_token(method) || strlen(method) > 32) {
        return error_new(ERROR_INVALID, "not a request method: %.40s", method);
    }
    if (strcmp(method, "CONNECT") == 0) {
        return error_new(ERROR_INVALID, "CONNECT is not for requests to use");
    }
    if (request->body) {
        gsize len;
        const void *bytes;

        call->body = g_bytes_ref(request->body);
        bytes = g_bytes_get_data(call->body, &len);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, bytes ? bytes : "");
    } else if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(call->easy, CURLOPT_NOBODY, 1L);
    } else if (strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0) {
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)0);
        curl_easy_setopt(call->easy, CURLOPT_POSTFIELDS, "");
    }
    curl_easy_setopt(call->easy, CURLOPT_CUSTOMREQUEST, method);
    return NULL;
}

static void apply_limits(http_call *call, const http_request *request) {
    CURL *easy = call->easy;

    call->allow_private = request->allow_private;
    call->timeout_ms = request->timeout_ms ? request->timeout_ms : TIMEOUT_MS;
    call->max_response = request->max_response ? request->max_response : MAX_RESPONSE;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(request->connect_ms ? request->connect_ms : CONNECT_MS));
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->max_response);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, CONNECTION_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* giving up does not wait for a name server */
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "mailruled/" MAILRULED_VERSION);
    if (request->compressed) {
        curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    }
}

error *http_apply(http_call *call, const http_request *request) {
    error *err = apply_url(call, request->url);

    err = err ? err : apply_method(call, request);
    err = err ? err : apply_headers(call, request);
    if (!err) {
        apply_limits(call, request);
    }
    return err;
}
