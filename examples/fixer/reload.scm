;; Shows what happens when. Change this file while it runs: after ten seconds at most it is loaded again.

(watch-config 10)
(debug on)

(display "this is displayed at each load")
(on-start (display "this only at the first one"))
(run "echo a command of the shell")
