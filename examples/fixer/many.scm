;; Mirrors several repositories, each into a directory named by its key.

(local root (string-append (getenv "HOME") "/mirrors"))

(define (mirror key)
  (begin
    (local path (string-append root "/" key))
    (on-start
      (mkdir path)
      (run "git init --quiet --bare" path))
    ;; The code runs later, when `key` and `path` mean something else: (unquoted X) is their value of now.
    (watch 120 (lwwref key)
      (run-config
        (watch 600 (lwwref:get-hbs2-git-reflog)
          (run (list opts (cwd (unquoted path))) "git hbs2 import" (unquoted key)))))))

(for (list "BTThPdHKF8XnEq4m6wzbKHKA6geLFK4ydYhBXAqBdHSP"
           "4X65y4YvUjRL2gtA9Ec3YDDP4bnxjTGhfjpoah96t3z1")
     mirror)
