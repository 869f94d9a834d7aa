// The running capture: from the workers' rings to a client, as pcapng in chunks of HTTP.
//
// It has a thread of its own, which takes the client's connection over from the HTTP server: however slowly the client
// reads, control answers others meanwhile, and the workers count what finds no room in their rings. One capture at a
// time, so that what captures cost the workers is bounded.
//
// A capture ends after its count or time, or when the client stops sending (shutdown(2), or close): then what is in
// the rings still goes out, then the counts, and the file is whole.
#pragma once

#include <memory>
#include <vector>

#include "config/model.h"
#include "control/capture_plan.h"
#include "control/data_plane.h"
#include "control/http_server.h"

namespace weir::control {

class Captures {
 public:
  /// The workers outlive it.
  explicit Captures(DataPlane& data_plane);
  Captures(const Captures&) = delete;
  Captures& operator=(const Captures&) = delete;
  ~Captures();  // ends the one that runs

  /// Answers by the capture itself, or refuses. Control's thread. `model`: for the names of what there is.
  void start(CapturePlan plan, const config::Model& model, const Responder& respond);

 private:
  class Run;
  [[nodiscard]] const Run* in_the_way();

  DataPlane& data_plane_;
  std::vector<std::unique_ptr<Run>> runs_;  // the one that runs, and those whose clients still read
};

}  // namespace weir::control
