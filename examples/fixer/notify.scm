;; Runs a script of yours at each change of a log, and says so.

(local log "BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP")

(listen (reflog log)
  (display (string-append "changed: " log))
  (run (list opts (cwd (getenv "HOME")) (timeout 60)) "./on-change.sh" log))
