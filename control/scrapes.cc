#include "control/scrapes.h"

#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "control/json_text.h"

namespace weir::control {

namespace {

Response refusal(unsigned status, std::string_view sentence) {
  return {.status = status, .body = error_json(sentence)};
}

}  // namespace

void Scrapes::handle(const Request& request, const Responder& respond) {
  if (request.path != "/metrics")
    return respond(
        refusal(404, "this port serves GET /metrics alone; the admin API is on the control socket (docs/api.md)"));
  if (request.method != "GET") return respond(refusal(405, "/metrics is read by GET"));
  ask(respond);
}

void Scrapes::ask(const Responder& respond) {
  waiting_.push_back(respond);
  if (waiting_.size() > 1) return;
  std::erase_if(sent_, [](const auto& text) { return text.expired(); });
  if (sent_.size() >= kMostTexts)
    return std::exchange(waiting_, {})
        .front()(refusal(503, "earlier scrapes are still being read; scrape less often, or read faster"));

  boost::asio::post(thread_, [this, make = begin_()]() mutable {
    Text text;
    try {
      text = std::make_shared<const std::string>(make());
    } catch (const std::exception&) {  // no memory
    }
    make = nullptr;  // what it held of an older generation is dropped here, not on the control thread
    boost::asio::post(io_, [this, text = std::move(text)] { made(text); });
  });
}

void Scrapes::made(const Text& text) {
  if (text != nullptr) sent_.emplace_back(text);
  for (const Responder& respond : std::exchange(waiting_, {}))
    respond(text == nullptr ? refusal(500, "there is no memory for the metrics of so many services")
                            : Response{.content_type = "text/plain; version=0.0.4; charset=utf-8", .shared = text});
}

}  // namespace weir::control
