;; Keeps a bare mirror of a repository: what is pushed there is here a moment later.
;;
;;   hbs2-fixer -c mirror.scm
;;
;; Serve ~/mirrors/hbs2.git with any web or git server, or clone from it.

(local key "BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP")
(local path (string-append (getenv "HOME") "/mirrors/hbs2.git"))

(define (update)
  (run (list opts (cwd path) (timeout 3600)) "git hbs2 import" key))

(debug off)

(on-start
  (mkdir path)
  (run "git init --quiet --bare" path))

(watch 60 (lwwref key)
  (run-config
    ;; The log of the repository may become another one when its reference changes: that is why it is
    ;; watched in here.
    (watch 300 (lwwref:get-hbs2-git-reflog)
      (update))))
