#include "control/endpoint.h"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

TEST(Endpoint, ReadsWhatAddressesArePrintedAs) {
  for (const char* text : {"192.0.2.7:40000", "[2001:db8::7]:1", "0.0.0.0:65535"}) {
    const auto e = parse_endpoint(text);
    ASSERT_TRUE(e) << text;
    EXPECT_EQ(lb::to_string(e->address, e->port), text);
  }
}

TEST(Endpoint, RefusesTheRest) {
  for (const char* text : {"", ":", "192.0.2.7", "192.0.2.7:", "192.0.2.7:0", "192.0.2.7:65536", "192.0.2.7:-1",
                           "192.0.2.7:80x", "192.0.2.7: 80", "2001:db8::7:80", "[2001:db8::7]", "[192.0.2.7]:80",
                           "2001:db8::7]:80", "[]:80", "web:80", "[::ffff:192.0.2.7]:80"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

}  // namespace
}  // namespace weir::control
