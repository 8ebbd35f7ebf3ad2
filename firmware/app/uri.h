/* coap:// URIs as the options of a request (RFC 7252 sections 6.1 and 6.4). */
#ifndef URI_H
#define URI_H

#include "coap_message.h"

/* Whether a URI begins with "coap://", in any case of letters. */
bool uri_is_coap(const char *uri, size_t size);

/* Add Uri-Host, Uri-Port, Uri-Path and, behind them, Uri-Query. False if it is no URI. `writer` may be NULL. */
bool uri_add_options(struct coap_writer *writer, const char *uri);

#endif
